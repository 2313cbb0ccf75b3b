//! Tickets: one stream, once, for clients that cannot send headers.

use actix_web::{HttpRequest, HttpResponse, http::header, web::Data};
use identity::{
    Problem, Remarks,
    http::{Admitted, Json, remarked},
};
use serde::{Deserialize, Serialize};

use crate::{
    IssueTicket, Realtime, TICKET_LIFE,
    rules::{CANVAS, CHAT},
};

/// A stream to give a ticket for.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct TicketBody {
    /// `chat` or `canvas`.
    rail: String,
    /// The thread or canvas.
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
    let scope = &admitted.scope;
    let route = match &*rail {
        CHAT => realtime.registry.verify_thread_access(scope, &id).await?.0,
        CANVAS => {
            let (key, _) = realtime.canvases.verify_canvas_access(scope, &id).await?;
            key.route().clone()
        }
        _ => return Err(Problem::invalid("/rail", "there is no such rail")),
    };
    let origin = req.headers().get(header::ORIGIN);
    let origin = origin.and_then(|origin| origin.to_str().ok());
    let ticket = realtime.tickets.issue(scope, &route, origin).await?;
    let base = realtime.config.public_url.as_deref().unwrap_or_default();
    let (rail, id) = (route.rail(), route.object());
    let remarks = Remarks::default().with("rail", rail).with("id", id);
    let response = HttpResponse::Created().json(TicketView {
        expires_in: TICKET_LIFE.as_secs(),
        sse_url: format!("{base}/sse/{rail}/{id}?ticket={ticket}"),
        // http and https become ws and wss.
        ws_url: format!(
            "{}/ws/{rail}/{id}?ticket={ticket}",
            base.replacen("http", "ws", 1)
        ),
        ticket,
    });
    Ok(remarked(response, remarks))
}
