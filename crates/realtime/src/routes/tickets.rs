//! Tickets: one stream, once, for clients that cannot send headers.

use actix_web::{HttpRequest, HttpResponse, http::header, web::Data};
use identity::{
    Problem, Remarks,
    http::{Admitted, Json, remarked},
};
use serde::{Deserialize, Serialize};

use crate::{IssueTicket, Realtime, TICKET_LIFE, registry::CHAT};

/// A stream to give a ticket for.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct TicketBody {
    /// `chat`.
    rail: String,
    /// The thread.
    id: String,
}

/// A ticket, and where to use it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TicketView {
    ticket: String,
    expires_in: u64,
    sse_url: String,
    ws_url: String,
}

/// Gives a ticket for one stream, good once and for 30 seconds.
#[utoipa::path(post, path = "/realtime/tickets", tag = "realtime", request_body = TicketBody,
    responses((status = 201, body = TicketView), (status = 403, description = "Foreign or unknown"),
        (status = 422, description = "There is no such rail")))]
pub(crate) async fn issue(
    admitted: Admitted<IssueTicket, Json<TicketBody>>,
    req: HttpRequest,
    realtime: Data<Realtime>,
) -> Result<HttpResponse, Problem> {
    let Json(TicketBody { rail, id }) = admitted.body;
    if rail != CHAT {
        return Err(Problem::invalid("/rail", "there is no such rail"));
    }
    let scope = &admitted.scope;
    let (route, _) = realtime.registry.verify_thread_access(scope, &id).await?;
    let origin = req.headers().get(header::ORIGIN);
    let origin = origin.and_then(|origin| origin.to_str().ok());
    let ticket = realtime.tickets.issue(scope, &route, origin).await?;
    let base = realtime.config.public_url.as_deref().unwrap_or_default();
    let thread = route.thread();
    let remarks = Remarks::default().with("rail", CHAT).with("id", thread);
    let response = HttpResponse::Created().json(TicketView {
        expires_in: TICKET_LIFE.as_secs(),
        sse_url: format!("{base}/sse/chat/{thread}?ticket={ticket}"),
        // http and https become ws and wss.
        ws_url: format!(
            "{}/ws/chat/{thread}?ticket={ticket}",
            base.replacen("http", "ws", 1)
        ),
        ticket,
    });
    Ok(remarked(response, remarks))
}
