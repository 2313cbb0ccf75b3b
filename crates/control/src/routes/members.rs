//! `/control/members`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode},
    web::Data,
};
use identity::{
    Problem, Refusal, Remarks, Role, Scope,
    http::{Admitted, Json, Object, Query, Routes, precondition, remarked},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::{PageQuery, control_of, created, found, id_in, listed, record};
use crate::{Control, ControlError, Invitee, Member, MemberRef};

identity::action!(ListMembers, "control.member.list", Admin);
identity::action!(AddMember, "control.member.add", Admin);
identity::action!(ChangeMember, "control.member.change", Admin);
identity::action!(
    /// Every member may leave; who removes another needs to be an admin, which
    /// [`Removable`] holds.
    RemoveMember, "control.member.remove", Viewer
);

const LIST: &str = "/control/members";

pub(super) fn mount(routes: &mut Routes) {
    routes.tenant(Method::GET, LIST, list);
    routes.tenant(Method::POST, LIST, add);
    routes.tenant(Method::PATCH, "/control/members/{user_id}", change);
    routes.tenant(Method::DELETE, "/control/members/{user_id}", remove);
}

#[derive(Serialize, ToSchema)]
pub(super) struct MemberView {
    /// By which the row is changed and removed: `u_…`, or `i_…` for invitations.
    id: String,
    /// `active` or `invited`.
    status: &'static str,
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    role: &'static str,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        let (status, user_id) = match &member.id {
            MemberRef::User(user) => ("active", Some(user.to_string())),
            MemberRef::Invitation(_) => ("invited", None),
        };
        Self {
            id: member.id.to_string(),
            status,
            email: member.email.map(|email| email.to_string()),
            user_id,
            role: member.role.as_str(),
            since: member.since.to_string(),
            expires_at: member.expires_at.map(|end| end.to_string()),
        }
    }
}

/// A member or invitation of the tenant, and its role when the request came.
struct Target(MemberRef, Role);

impl Object for Target {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let id = id_in(req, "user_id")?;
        let member = found(control_of(req)?.members().find(scope, &id).await)?;
        Ok(Self(id, member.value.role))
    }
}

/// A member or invitation that the caller may remove, as far as the role says.
struct Removable(Target);

impl Object for Removable {
    async fn locate(scope: &Scope, req: &HttpRequest) -> Result<Self, Problem> {
        let leaves = req.match_info().get("user_id") == Some(scope.user().as_str());
        if !leaves && scope.auth().role() < Role::Admin {
            return Err(Refusal::RoleForbidden.into());
        }
        Target::locate(scope, req).await.map(Self)
    }
}

async fn list(
    Admitted { scope, .. }: Admitted<ListMembers>,
    query: Query<PageQuery>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let page = control.members().list(&scope, &query.0.try_into()?).await?;
    Ok(listed::<_, MemberView>(page))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct AddMemberBody {
    /// Either this,
    email: Option<String>,
    /// or this: a user who may come from an outside issuer.
    user_id: Option<String>,
    /// `owner`, `admin`, `member` or `viewer`.
    role: String,
}

impl AddMemberBody {
    fn invitee(&self) -> Result<Invitee, ControlError> {
        match (&self.email, &self.user_id) {
            (Some(email), None) => email.parse().map(Invitee::Email),
            (None, Some(user)) => user
                .parse()
                .map(Invitee::User)
                .map_err(|_| ControlError::invalid("/user_id", "is no user id")),
            _ => {
                let why = "give either an email or a user_id";
                Err(ControlError::invalid("/email", why))
            }
        }
    }
}

fn role(text: &str) -> Result<Role, ControlError> {
    text.parse()
        .map_err(|error: identity::InvalidRole| ControlError::invalid("/role", error.to_string()))
}

async fn add(
    Admitted { scope, body, .. }: Admitted<AddMember, Json<AddMemberBody>>,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let (invitee, role) = (body.0.invitee()?, role(&body.0.role)?);
    let member = control.members().add(&scope, &invitee, role).await?;
    let view = MemberView::from(member.value);
    let response = created(LIST, &view.id, member.version, &view);
    Ok(remarked(response, Remarks::default().with("role", role)))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct ChangeMemberBody {
    /// `owner`, `admin`, `member` or `viewer`.
    role: String,
}

async fn change(
    admitted: Admitted<ChangeMember, Json<ChangeMemberBody>, Target>,
    req: HttpRequest,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let (Target(id, before), role) = (admitted.object, role(&admitted.body.0.role)?);
    let member = control
        .members()
        .set_role(&admitted.scope, &id, role, &precondition(&req))
        .await?;
    let view = MemberView::from(member.value);
    let response = record(StatusCode::OK, member.version, &view);
    let remarks = Remarks::default().with("role_before", before);
    Ok(remarked(response, remarks.with("role", role)))
}

async fn remove(
    admitted: Admitted<RemoveMember, (), Removable>,
    req: HttpRequest,
    control: Data<Control>,
) -> Result<HttpResponse, Problem> {
    let Removable(Target(id, before)) = admitted.object;
    control
        .members()
        .remove(&admitted.scope, &id, &precondition(&req))
        .await?;
    let remarks = Remarks::default().with("role_before", before);
    Ok(remarked(HttpResponse::NoContent().finish(), remarks))
}
