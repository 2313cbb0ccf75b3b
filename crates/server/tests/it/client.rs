//! Callers, as typed values: who they are and which context they send.

use futures_util::StreamExt;
use reqwest::{Method, Response};
use serde_json::Value;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, client::IntoClientRequest},
};

use crate::process::Server;

/// Headers that a caller sends; a name may come twice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    headers: Vec<(String, String)>,
}

impl Caller {
    /// A bearer of `token` who selects a tenant's project in `dev`.
    pub(crate) fn new(token: &str, tenant: &str, project: &str) -> Self {
        Self::default()
            .and("authorization", format!("Bearer {token}"))
            .and("x-tenant-id", tenant)
            .and("x-env", "dev")
            .and("x-project-id", project)
    }

    /// The resident `at` of a fresh development profile.
    pub(crate) fn resident(server: &Server, at: usize) -> Self {
        let facts = &server.facts;
        Self::new(&facts.tokens[at], &facts.tenants[at], &facts.projects[at])
    }

    /// Sends one header more.
    pub(crate) fn and(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends a header with another value, or not at all.
    pub(crate) fn but(mut self, name: &str, value: Option<&str>) -> Self {
        self.headers.retain(|(n, _)| n != name);
        match value {
            Some(value) => self.and(name, value),
            None => self,
        }
    }

    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.but("authorization", Some(&format!("Bearer {token}")))
    }
}

/// One request, ready to be sent by anyone.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<String>,
}

impl Request {
    pub(crate) fn new(method: &str, path: impl Into<String>) -> Self {
        Self {
            method: method.parse().unwrap(),
            path: path.into(),
            body: None,
        }
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self
    }

    pub(crate) fn is_websocket(&self) -> bool {
        self.path.starts_with("/ws/")
    }
}

/// An answer, read to its end (a stream: to its first bytes).
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
    pub(crate) fn code(&self) -> String {
        serde_json::from_str::<Value>(&self.text)
            .ok()
            .and_then(|json| Some(json["code"].as_str()?.to_owned()))
            .unwrap_or_default()
    }
    pub(crate) fn outcome(&self) -> (u16, String) {
        (self.status, self.code())
    }
    /// Everything that a refused caller sees.
    pub(crate) fn visible(&self) -> String {
        format!("{:?} {}", self.headers, self.text)
    }
}

/// Sends a request and returns the response, its body unread.
pub(crate) async fn open(server: &Server, caller: &Caller, request: &Request) -> Response {
    let mut builder = server.client.request(
        request.method.clone(),
        format!("{}{}", server.facts.url, request.path),
    );
    for (name, value) in &caller.headers {
        builder = builder.header(name, value);
    }
    if let Some(body) = &request.body {
        builder = builder
            .header("content-type", "application/json")
            .body(body.clone());
    }
    builder.send().await.expect("the server answers")
}

/// Sends a request over the transport that its path asks for.
pub(crate) async fn send(server: &Server, caller: &Caller, request: &Request) -> Reply {
    if request.is_websocket() {
        return upgrade(server, caller, &request.path).await;
    }
    let mut response = open(server, caller, request).await;
    let status = response.status().as_u16();
    let headers: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let streams = headers
        .iter()
        .any(|(n, v)| n == "content-type" && v.starts_with("text/event-stream"));
    let text = if streams {
        let first = response
            .chunk()
            .await
            .expect("the stream begins")
            .unwrap_or_default();
        String::from_utf8_lossy(&first).into_owned()
    } else {
        response.text().await.expect("the body arrives")
    };
    Reply {
        status,
        headers,
        text,
    }
}

pub(crate) type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Opens a WebSocket.
pub(crate) async fn connect(
    server: &Server,
    caller: &Caller,
    path: &str,
) -> Result<Socket, Box<tungstenite::Error>> {
    let url = format!("{}{path}", server.facts.url.replacen("http", "ws", 1));
    let mut request = url.into_client_request().unwrap();
    for (name, value) in &caller.headers {
        let name: tungstenite::http::HeaderName = name.parse().unwrap();
        let Ok(value) = value.parse() else { continue };
        request.headers_mut().append(name, value);
    }
    connect_async(request)
        .await
        .map(|(socket, _)| socket)
        .map_err(Box::new)
}

async fn upgrade(server: &Server, caller: &Caller, path: &str) -> Reply {
    match connect(server, caller, path).await {
        Ok(mut socket) => {
            let first = socket
                .next()
                .await
                .expect("the socket says something")
                .expect("a frame");
            Reply {
                status: 101,
                headers: Vec::new(),
                text: first.to_string(),
            }
        }
        Err(error) => match *error {
            tungstenite::Error::Http(response) => Reply {
                status: response.status().as_u16(),
                headers: response
                    .headers()
                    .iter()
                    .map(|(n, v)| {
                        (
                            n.to_string(),
                            String::from_utf8_lossy(v.as_bytes()).into_owned(),
                        )
                    })
                    .collect(),
                text: response
                    .body()
                    .as_ref()
                    .map(|body| String::from_utf8_lossy(body).into_owned())
                    .unwrap_or_default(),
            },
            other => panic!("{other} for {path}"),
        },
    }
}
