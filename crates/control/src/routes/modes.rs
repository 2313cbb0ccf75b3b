//! `/control/modes`: everyone reads, operators write.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode},
    web::Data,
};
use identity::{
    Problem, Scope,
    http::{Admitted, Json, Object, Query, Routes, precondition},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{PageQuery, control_of, created, found, id_in, listed, record};
use crate::{Control, Mode, ModeId, Name};

identity::action!(ReadModes, "control.mode.read", Viewer);
identity::action!(WriteModes, "control.mode.write", Admin, System);

const LIST: &str = "/control/modes";

pub(super) fn mount(routes: &mut Routes) {
    routes.tenant(Method::GET, LIST, list);
    routes.tenant(Method::POST, LIST, create);
    routes.tenant(Method::GET, "/control/modes/{id}", read);
    routes.tenant(Method::PUT, "/control/modes/{id}", replace);
    routes.tenant(Method::DELETE, "/control/modes/{id}", delete);
}

#[derive(Serialize, ToSchema)]
pub(super) struct ModeView {
    id: String,
    title: String,
    description: String,
}

impl From<Mode> for ModeView {
    fn from(mode: Mode) -> Self {
        Self {
            id: mode.id.to_string(),
            title: mode.title.into(),
            description: mode.description,
        }
    }
}

struct Target(ModeId);

impl Object for Target {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let id = id_in(req, "id")?;
        found(control_of(req)?.modes().find(scope, &id).await)?;
        Ok(Self(id))
    }
}

async fn list(
    Admitted { scope, .. }: Admitted<ReadModes>,
    query: Query<PageQuery>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let page = control.modes().list(&scope, &query.0.try_into()?).await?;
    Ok(listed::<_, ModeView>(page))
}

async fn read(
    Admitted { scope, object, .. }: Admitted<ReadModes, (), Target>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let stored = found(control.modes().find(&scope, &object.0).await)?;
    let view = ModeView::from(stored.value);
    Ok(record(StatusCode::OK, stored.version, &view))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct CreateModeBody {
    /// A lower-case letter and up to 31 of a-z 0-9 _ -.
    id: String,
    title: String,
    #[serde(default)]
    description: String,
}

async fn create(
    Admitted { scope, body, .. }: Admitted<WriteModes, Json<CreateModeBody>>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let mode = Mode {
        id: body.0.id.parse()?,
        title: Name::parse("/title", &body.0.title)?,
        description: body.0.description,
    };
    let made = control.modes().create(&scope, mode).await?;
    let view = ModeView::from(made.value);
    Ok(created(LIST, &view.id, made.version, &view))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct ReplaceModeBody {
    title: String,
    #[serde(default)]
    description: String,
}

async fn replace(
    admitted: Admitted<WriteModes, Json<ReplaceModeBody>, Target>,
    req: HttpRequest,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let (Target(id), Json(body)) = (admitted.object, admitted.body);
    let mode = Mode {
        id,
        title: Name::parse("/title", &body.title)?,
        description: body.description,
    };
    let stored = control
        .modes()
        .replace(&admitted.scope, mode, &precondition(&req))
        .await?;
    let view = ModeView::from(stored.value);
    Ok(record(StatusCode::OK, stored.version, &view))
}

async fn delete(
    admitted: Admitted<WriteModes, (), Target>,
    req: HttpRequest,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let Target(id) = admitted.object;
    control
        .modes()
        .delete(&admitted.scope, &id, &precondition(&req))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
