//! `/control/projects`, `/control/surfaces`, `/control/apps`: one set of handlers for all three.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode},
    web::Data,
};
use identity::{
    Action, Problem, Scope,
    http::{Admitted, Json, Object, Query, Routes, precondition},
};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use utoipa::ToSchema;

use super::wire::{PageQuery, control_of, created, found, id_in, listed, record};
use crate::{Apps, Control, Name, NamedKind, NamedRecord, NamedRecords, Projects, Surfaces};

/// A kind of named record with its paths and actions.
pub(super) trait Served: NamedKind {
    /// The path of the list.
    const LIST: &'static str;
    /// The path of one record.
    const ITEM: &'static str;
    /// Reading.
    type Read: Action;
    /// Making, changing and deleting.
    type Write: Action;
    /// Where the records are.
    fn records(control: &Control) -> &NamedRecords<Self>
    where
        Self: Sized;
}

macro_rules! served {
    ($kind:ident, $records:ident, $list:literal, $item:literal,
     $read:ident $read_name:literal, $write:ident $write_name:literal) => {
        identity::action!($read, $read_name, Viewer);
        identity::action!($write, $write_name, Admin);
        impl Served for $kind {
            const LIST: &'static str = $list;
            const ITEM: &'static str = $item;
            type Read = $read;
            type Write = $write;
            fn records(control: &Control) -> &NamedRecords<Self> {
                control.$records()
            }
        }
    };
}

served!(
    Projects, projects, "/control/projects", "/control/projects/{id}",
    ReadProjects "control.project.read", WriteProjects "control.project.write"
);
served!(
    Surfaces, surfaces, "/control/surfaces", "/control/surfaces/{id}",
    ReadSurfaces "control.surface.read", WriteSurfaces "control.surface.write"
);
served!(
    Apps, apps, "/control/apps", "/control/apps/{id}",
    ReadApps "control.app.read", WriteApps "control.app.write"
);

pub(super) fn mount<K: Served>(routes: &mut Routes) {
    routes.tenant(Method::GET, K::LIST, list::<K>);
    routes.tenant(Method::POST, K::LIST, create::<K>);
    routes.tenant(Method::GET, K::ITEM, read::<K>);
    routes.tenant(Method::PATCH, K::ITEM, rename::<K>);
    routes.tenant(Method::DELETE, K::ITEM, delete::<K>);
}

#[derive(Serialize, ToSchema)]
pub(super) struct NamedView {
    id: String,
    name: String,
    created_at: String,
}

impl<Id: Display> From<NamedRecord<Id>> for NamedView {
    fn from(record: NamedRecord<Id>) -> Self {
        Self {
            id: record.id.to_string(),
            name: record.name.into(),
            created_at: record.created_at.to_string(),
        }
    }
}

/// One record of the tenant.
struct Target<K: NamedKind>(K::Id);

impl<K: Served> Object for Target<K> {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let id = id_in(req, "id")?;
        found(K::records(control_of(req)?).find(scope, &id).await)?;
        Ok(Self(id))
    }
}

async fn list<K: Served>(
    Admitted { scope, .. }: Admitted<K::Read>,
    query: Query<PageQuery>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let request = query.0.try_into()?;
    let page = K::records(&control).list(&scope, &request).await?;
    Ok(listed::<_, NamedView>(page))
}

async fn read<K: Served>(
    Admitted { scope, object, .. }: Admitted<K::Read, (), Target<K>>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let stored = found(K::records(&control).find(&scope, &object.0).await)?;
    let view = NamedView::from(stored.value);
    Ok(record(StatusCode::OK, stored.version, &view))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct CreateNamedBody {
    name: String,
}

async fn create<K: Served>(
    Admitted { scope, body, .. }: Admitted<K::Write, Json<CreateNamedBody>>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let name = body.0.name.parse()?;
    let made = K::records(&control).create(&scope, name).await?;
    let view = NamedView::from(made.value);
    Ok(created(K::LIST, &view.id, made.version, &view))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct RenameNamedBody {
    name: String,
}

async fn rename<K: Served>(
    admitted: Admitted<K::Write, Json<RenameNamedBody>, Target<K>>,
    req: HttpRequest,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let (Target(id), name) = (admitted.object, admitted.body.0.name.parse::<Name>()?);
    let stored = K::records(&control)
        .rename(&admitted.scope, &id, &name, &precondition(&req))
        .await?;
    let view = NamedView::from(stored.value);
    Ok(record(StatusCode::OK, stored.version, &view))
}

async fn delete<K: Served>(
    admitted: Admitted<K::Write, (), Target<K>>,
    req: HttpRequest,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let Target(id) = admitted.object;
    K::records(&control)
        .delete(&admitted.scope, &id, &precondition(&req))
        .await?;
    Ok(HttpResponse::NoContent().finish())
}
