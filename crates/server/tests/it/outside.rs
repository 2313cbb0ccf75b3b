//! A configured server: an outside issuer over HTTP, small retention, tight limits.

use std::{
    net::TcpListener,
    process::{Child, Stdio},
    time::Duration,
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    backends::Backends,
    client::{Caller, Reply},
    process::{init, tenantry},
};

const RSA_PRIVATE: &[u8] = include_bytes!("../../../identity/tests/it/rsa_for_tests.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("../../../identity/tests/it/rsa_for_tests.pub.pem");

/// `tenantry serve` as its configuration file says.
pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
    _folder: tempfile::TempDir,
    _backends: Option<Backends>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Starts a server whose configuration has `more` in it, and waits until it answers.
pub(crate) async fn serve(more: &str) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let backends = Backends::of_profile();
    let with = backends.as_ref().map_or_else(Vec::new, Backends::args);
    let config = init(folder.path(), &with);
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, merge(&text, more)).unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let child = tenantry()
        .args(["serve", "--listen", &listen, "--config"])
        .arg(&config)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let served = Served {
        child,
        url: format!("http://{listen}"),
        _folder: folder,
        _backends: backends,
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while ask(&served, "GET", "/healthz", &Caller::default(), None)
        .await
        .is_none()
    {
        assert!(tokio::time::Instant::now() < deadline, "the server answers");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    served
}

/// The text of a configuration with other values in it.
fn merge(text: &str, more: &str) -> String {
    let mut config: toml::Table = text.parse().unwrap();
    for (section, value) in more.parse::<toml::Table>().unwrap() {
        let here = config
            .entry(section)
            .or_insert_with(|| toml::Table::new().into());
        here.as_table_mut()
            .unwrap()
            .extend(value.as_table().unwrap().clone());
    }
    config.to_string()
}

async fn ask(
    served: &Served,
    method: &str,
    path: &str,
    caller: &Caller,
    body: Option<&Value>,
) -> Option<Reply> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    let mut request = client.request(method.parse().unwrap(), format!("{}{path}", served.url));
    for (name, value) in caller.headers() {
        request = request.header(name, value);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let pairs = response.headers().iter();
    let headers = pairs
        .map(|(name, value)| {
            (
                name.to_string(),
                value.to_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    Some(Reply {
        status,
        headers,
        text: response.text().await.ok()?,
    })
}

async fn call(
    served: &Served,
    method: &str,
    path: &str,
    caller: &Caller,
    body: Option<&Value>,
) -> Reply {
    ask(served, method, path, caller, body)
        .await
        .expect("the server answers")
}

/// An issuer that serves its key set on loopback.
async fn issuer() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let key = EncodingKey::from_rsa_pem(RSA_PRIVATE).unwrap();
    let mut jwk =
        serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap()).unwrap();
    jwk["kid"] = "k1".into();
    let body = json!({"keys": [jwk]}).to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            if stream.read(&mut head).await.is_err() {
                continue;
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream
                .write_all(format!("{head}{body}").as_bytes())
                .await
                .ok();
        }
    });
    url
}

fn claims() -> Value {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    json!({"iss": "https://pool.example", "sub": "someone", "client_id": "app", "token_use": "access",
        "jti": "j", "iat": now, "exp": now + 600})
}

fn token(algorithm: Algorithm, key: &EncodingKey) -> String {
    let header = Header {
        kid: Some("k1".to_owned()),
        typ: None,
        ..Header::new(algorithm)
    };
    jsonwebtoken::encode(&header, &claims(), key).unwrap()
}

pub(crate) async fn sign_up(served: &Served, name: &str) -> (Caller, Value) {
    let body = json!({"email": format!("{name}@example.org"), "password": "a long password", "tenant_name": name});
    let made = call(
        served,
        "POST",
        "/auth/signup",
        &Caller::default(),
        Some(&body),
    )
    .await
    .json();
    let text = |pointer: &str| {
        made.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap()
            .to_owned()
    };
    (
        Caller::new(
            &text("/access_token"),
            &text("/tenant/id"),
            &text("/project/id"),
        ),
        made,
    )
}

#[tokio::test]
async fn a_user_of_an_outside_issuer_becomes_a_member_by_id() {
    let more = format!(
        "[auth]\noidc = [{{ issuer = \"https://pool.example\", jwks_url = {:?}, accept = {{ client_id = \"app\" }} }}]",
        issuer().await
    );
    let served = serve(&more).await;
    let rs256 = token(
        Algorithm::RS256,
        &EncodingKey::from_rsa_pem(RSA_PRIVATE).unwrap(),
    );
    let someone = Caller::default().bearer(&rs256);
    let me = call(&served, "GET", "/auth/me", &someone, None).await;
    assert_eq!(me.status, 200, "{}", me.visible());
    let user = me.json()["user"]["id"].as_str().unwrap().to_owned();

    let (owner, _) = sign_up(&served, "owner").await;
    let theirs = owner.clone().bearer(&rs256);
    let refused = call(&served, "GET", "/chat/threads", &theirs, None).await;
    assert_eq!(refused.outcome(), (403, "tenant_forbidden".to_owned()));
    let added = call(
        &served,
        "POST",
        "/control/members",
        &owner,
        Some(&json!({"user_id": user, "role": "viewer"})),
    )
    .await;
    assert_eq!(added.status, 201, "{}", added.visible());
    assert_eq!(
        call(&served, "GET", "/chat/threads", &theirs, None)
            .await
            .status,
        200
    );

    let forged = token(Algorithm::HS256, &EncodingKey::from_secret(RSA_PUBLIC));
    let refused = call(
        &served,
        "GET",
        "/auth/me",
        &Caller::default().bearer(&forged),
        None,
    )
    .await;
    assert_eq!(refused.outcome(), (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn a_tenant_that_publishes_too_much_is_told_when_to_come_back_and_others_are_not() {
    let served =
        serve("[realtime]\npublishes_per_s = 1\npublishes_burst = 2\nconnections = 1\n").await;
    let ((noisy, _), (quiet, _)) = (
        sign_up(&served, "noisy").await,
        sign_up(&served, "quiet").await,
    );
    let thread = json!({"thread_id": "th_1"});
    for who in [&noisy, &quiet] {
        assert_eq!(
            call(&served, "POST", "/chat/threads", who, Some(&thread))
                .await
                .status,
            201
        );
    }
    let message = json!({"data": 1});
    let post = |who: Caller| {
        let (served, message) = (&served, &message);
        async move {
            call(
                served,
                "POST",
                "/chat/threads/th_1/messages",
                &who,
                Some(message),
            )
            .await
        }
    };
    let mut refused = None;
    for _ in 0..5 {
        let reply = post(noisy.clone()).await;
        if reply.status != 201 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("five messages are more than two and what comes back meanwhile");
    assert_eq!(refused.outcome(), (429, "throttled".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(
        refused.header("ratelimit").is_some() && refused.header("ratelimit-policy").is_some(),
        "{}",
        refused.visible()
    );
    assert_eq!(
        post(quiet).await.status,
        201,
        "another tenant is not refused for it"
    );
}

#[tokio::test]
async fn an_evicted_cursor_is_a_gap_and_the_rest_follows() {
    let served = serve("[realtime]\nretain_events = 10\n").await;
    let (owner, _) = sign_up(&served, "owner").await;
    call(
        &served,
        "POST",
        "/chat/threads",
        &owner,
        Some(&json!({"thread_id": "th_1"})),
    )
    .await;
    let mut first = String::new();
    for n in 0..40 {
        let reply = call(
            &served,
            "POST",
            "/chat/threads/th_1/messages",
            &owner,
            Some(&json!({"data": n})),
        )
        .await;
        if n == 0 {
            first = reply.json()["id"].as_str().unwrap().to_owned();
        }
    }
    let path = format!("/chat/threads/th_1/messages?after={first}");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    let listed = loop {
        let listed = call(&served, "GET", &path, &owner, None).await.json();
        if listed["gap"]["reason"] == "evicted" {
            break listed;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "old events are trimmed: {listed}"
        );
    };
    let kept = listed["items"].as_array().unwrap();
    assert!((10..=30).contains(&kept.len()), "{} are kept", kept.len());
    assert_eq!(kept.last().unwrap()["data"], json!(39));
    assert_eq!(kept[0]["id"], listed["gap"]["oldest"]);
}
