//! The routes as an OpenAPI document. A test holds it to the manifest of the routes.

use identity::ContextName;
use utoipa::{
    ToSchema,
    openapi::{
        Components, ContentBuilder, HttpMethod, Info, ObjectBuilder, OpenApi, OpenApiBuilder,
        Paths, Ref, RefOr, Required, ResponseBuilder, Type,
        path::{OperationBuilder, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use super::{auth, members, modes, named, registry, tenants, wire::Listed};
use crate::{Apps, Projects, Surfaces};

const BEARER: &str = "bearer";

/// Who calls an operation, as far as the document says it.
#[derive(Clone, Copy, PartialEq)]
enum Caller {
    Public,
    Account,
    Tenant,
}

/// Collects operations, and the schemas that they mention.
struct Document {
    paths: Paths,
    components: Components,
}

/// One operation that is being described.
struct Operation<'a> {
    document: &'a mut Document,
    method: HttpMethod,
    path: String,
    caller: Caller,
    builder: OperationBuilder,
}

/// What this crate serves, as OpenAPI; the server merges it with the others.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut document = Document {
        paths: Paths::new(),
        components: Components::new(),
    };
    document.components.add_security_scheme(
        BEARER,
        SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()),
    );
    auth_operations(&mut document);
    member_operations(&mut document);
    named_operations::<Projects>(&mut document, "project");
    named_operations::<Surfaces>(&mut document, "surface");
    named_operations::<Apps>(&mut document, "app");
    tenant_operations(&mut document);
    mode_operations(&mut document);
    registry_operations(&mut document);
    OpenApiBuilder::new()
        .info(Info::new(
            "Tenantry control plane",
            env!("CARGO_PKG_VERSION"),
        ))
        .paths(document.paths)
        .components(Some(document.components))
        .build()
}

fn auth_operations(document: &mut Document) {
    use HttpMethod::{Get, Post};
    let bootstrap = "Makes t_system and its operator; 200 if it was done before";
    document
        .public(Post, "/auth/bootstrap/tenants", bootstrap)
        .header("X-Bootstrap-Key", true)
        .takes::<auth::OperatorBody>()
        .gives::<auth::BootstrapView>(201);
    document
        .public(Post, "/auth/signup", "Makes a user, and a tenant they own")
        .takes::<auth::SignupBody>()
        .gives::<auth::SignupView>(201);
    document
        .public(Post, "/auth/login", "Begins a session")
        .takes::<auth::LoginBody>()
        .gives::<auth::LoginView>(200);
    document
        .public(Post, "/auth/refresh", "Exchanges a refresh token, once")
        .takes::<auth::RefreshBody>()
        .gives::<auth::TokensView>(200);
    document
        .account(Post, "/auth/logout", "Ends the session")
        .gives_nothing();
    document
        .account(Get, "/auth/me", "Who the caller is, and where they may act")
        .gives::<auth::ProfileView>(200);
}

fn member_operations(document: &mut Document) {
    use HttpMethod::{Delete, Get, Patch, Post};
    let (list, item) = ("/control/members", "/control/members/{user_id}");
    document
        .tenant(Get, list, "Lists members and invitations")
        .pages::<members::MemberView>();
    document
        .tenant(Post, list, "Adds a member, or invites one")
        .takes::<members::AddMemberBody>()
        .gives::<members::MemberView>(201);
    document
        .tenant(Patch, item, "Gives a member another role")
        .takes::<members::ChangeMemberBody>()
        .gives::<members::MemberView>(200);
    document
        .tenant(Delete, item, "Removes a member or an invitation")
        .gives_nothing();
}

fn named_operations<K: named::Served>(document: &mut Document, what: &str) {
    use HttpMethod::{Delete, Get, Patch, Post};
    document
        .tenant(Get, K::LIST, &format!("Lists the tenant's {what}s"))
        .pages::<named::NamedView>();
    document
        .tenant(Post, K::LIST, &format!("Makes a new {what}"))
        .takes::<named::CreateNamedBody>()
        .gives::<named::NamedView>(201);
    document
        .tenant(Get, K::ITEM, &format!("Reads one {what}"))
        .gives::<named::NamedView>(200);
    document
        .tenant(Patch, K::ITEM, &format!("Renames one {what}"))
        .takes::<named::RenameNamedBody>()
        .gives::<named::NamedView>(200);
    document
        .tenant(Delete, K::ITEM, &format!("Deletes one {what}"))
        .gives_nothing();
}

fn tenant_operations(document: &mut Document) {
    use HttpMethod::{Get, Patch, Post};
    let (list, item) = ("/control/tenants", "/control/tenants/{id}");
    document
        .tenant(Get, list, "Lists all tenants; for operators")
        .pages::<tenants::TenantView>();
    document
        .tenant(Post, list, "Founds a tenant; for operators")
        .takes::<tenants::CreateTenantBody>()
        .gives::<tenants::TenantView>(201);
    document
        .tenant(Get, item, "Reads one tenant; for operators")
        .gives::<tenants::TenantView>(200);
    document
        .tenant(
            Patch,
            item,
            "Renames or suspends a tenant, or changes its mode; for operators",
        )
        .takes::<tenants::ChangeTenantBody>()
        .gives::<tenants::TenantView>(200);
}

fn mode_operations(document: &mut Document) {
    use HttpMethod::{Delete, Get, Post, Put};
    let (list, item) = ("/control/modes", "/control/modes/{id}");
    document
        .tenant(Get, list, "Lists all modes")
        .pages::<modes::ModeView>();
    document
        .tenant(Post, list, "Makes a mode; for operators")
        .takes::<modes::CreateModeBody>()
        .gives::<modes::ModeView>(201);
    document
        .tenant(Get, item, "Reads one mode")
        .gives::<modes::ModeView>(200);
    document
        .tenant(Put, item, "Replaces a mode; for operators")
        .takes::<modes::ReplaceModeBody>()
        .gives::<modes::ModeView>(200);
    document
        .tenant(
            Delete,
            item,
            "Deletes a mode that no tenant has; for operators",
        )
        .gives_nothing();
}

fn registry_operations(document: &mut Document) {
    use HttpMethod::{Delete, Get, Post, Put};
    let (list, item) = ("/control/routes", "/control/routes/{id}");
    document
        .tenant(Get, list, "Lists the routing registry; for operators")
        .pages::<registry::RouteView>();
    document
        .tenant(Post, list, "Adds a row; for operators")
        .takes::<registry::RouteBody>()
        .gives::<registry::RouteView>(201);
    document
        .tenant(
            Post,
            "/control/routes/check",
            "Names every fault of the registry; for operators",
        )
        .gives::<registry::CheckView>(200);
    document
        .tenant(Put, item, "Sends a place elsewhere; for operators")
        .takes::<registry::TargetBody>()
        .gives::<registry::RouteView>(200);
    document
        .tenant(Delete, item, "Deletes a row; for operators")
        .gives_nothing();
}

impl Document {
    fn public(&mut self, method: HttpMethod, path: &str, summary: &str) -> Operation<'_> {
        self.operation(Caller::Public, method, path, summary)
    }

    fn account(&mut self, method: HttpMethod, path: &str, summary: &str) -> Operation<'_> {
        self.operation(Caller::Account, method, path, summary)
    }

    fn tenant(&mut self, method: HttpMethod, path: &str, summary: &str) -> Operation<'_> {
        let mut operation = self.operation(Caller::Tenant, method, path, summary);
        for name in ContextName::ALL {
            let required = !matches!(name, ContextName::Surface | ContextName::App);
            operation = operation.header(name.header(), required);
        }
        operation
    }

    fn operation(
        &mut self,
        caller: Caller,
        method: HttpMethod,
        path: &str,
        summary: &str,
    ) -> Operation<'_> {
        let tag = path.split('/').nth(2).unwrap_or_default();
        let builder =
            OperationBuilder::new()
                .summary(Some(summary))
                .tag(if path.starts_with("/auth") {
                    "auth"
                } else {
                    tag
                });
        let operation = Operation {
            document: self,
            method,
            path: path.to_owned(),
            caller,
            builder,
        };
        match path
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'))
        {
            Some((part, _)) => operation.parameter(part, ParameterIn::Path, true),
            None => operation,
        }
    }

    /// A reference to the schema of `T`, which is kept among the components.
    fn schema<T: ToSchema>(&mut self) -> Ref {
        let name = T::name().into_owned();
        let mut nested = vec![(name.clone(), T::schema())];
        T::schemas(&mut nested);
        self.components.schemas.extend(nested);
        Ref::from_schema_name(name)
    }
}

impl Operation<'_> {
    fn parameter(self, name: &str, place: ParameterIn, required: bool) -> Self {
        self.typed(name, place, required, Type::String)
    }

    fn typed(mut self, name: &str, place: ParameterIn, required: bool, is: Type) -> Self {
        let schema = ObjectBuilder::new().schema_type(is).build();
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(place)
            .required(if required {
                Required::True
            } else {
                Required::False
            })
            .schema(Some(schema));
        self.builder = self.builder.parameter(parameter);
        self
    }

    fn header(self, name: &str, required: bool) -> Self {
        self.parameter(name, ParameterIn::Header, required)
    }

    fn takes<T: ToSchema>(mut self) -> Self {
        let content = json(self.document.schema::<T>());
        let body = RequestBodyBuilder::new()
            .content("application/json", content)
            .required(Some(Required::True));
        self.builder = self.builder.request_body(Some(body.build()));
        self
    }

    fn pages<T: ToSchema>(self) {
        let operation = self
            .typed("limit", ParameterIn::Query, false, Type::Integer)
            .parameter("after", ParameterIn::Query, false);
        // The page's schema is written in place; its items are a component.
        operation.document.schema::<T>();
        let page = <Listed<T> as utoipa::PartialSchema>::schema();
        operation.answer(200, Some(ContentBuilder::new().schema(Some(page)).build()));
    }

    fn gives<T: ToSchema>(self, status: u16) {
        let content = json(self.document.schema::<T>());
        self.answer(status, Some(content));
    }

    fn gives_nothing(self) {
        self.answer(204, None);
    }

    fn answer(mut self, status: u16, content: Option<utoipa::openapi::Content>) {
        let mut response = ResponseBuilder::new().description("done");
        if let Some(content) = content {
            response = response.content("application/json", content);
        }
        let refused = ResponseBuilder::new()
            .description("refused: an RFC 9457 problem")
            .content("application/problem+json", ContentBuilder::new().build());
        self.builder = self
            .builder
            .response(status.to_string(), response.build())
            .response("default", refused.build());
        if self.caller != Caller::Public {
            let bearer = SecurityRequirement::new(BEARER, Vec::<String>::new());
            self.builder = self.builder.security(bearer);
        }
        let Operation {
            document,
            method,
            path,
            builder,
            ..
        } = self;
        document
            .paths
            .add_path_operation(path, vec![method], builder.build());
    }
}

fn json(schema: Ref) -> utoipa::openapi::Content {
    ContentBuilder::new()
        .schema(Some(RefOr::<utoipa::openapi::Schema>::Ref(schema)))
        .build()
}
