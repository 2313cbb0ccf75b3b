//! People whom Cognito signs in: moto's user pools, their RS256 tokens, and an issuer whose keys change.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use identity::external_user;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};

use crate::{
    client::{Caller, Reply, Request, send},
    cognito_keys::{Answer, Issuer},
    ofrep::clients,
    process::{Server, serve},
    recipes::succeed,
    streams::{post, thread},
};

/// Where Cognito of this region says that it is; the pool follows.
const COGNITO: &str = "https://cognito-idp.us-east-1.amazonaws.com";
const PASSWORD: &str = "Perm4nent!password";
/// More bytes than the buffers of a connection hold.
const SENT_MAX: u64 = 32 * 1024 * 1024;
/// Prints the key with which moto signs, and its public half.
const KEYS: &str = r#"
import json
from joserfc import jwk
from moto.utilities.utils import load_resource
key = jwk.RSAKey.import_key(load_resource("cognitoidp/resources/jwks-private.json"))
print(json.dumps([key.as_pem(private=private).decode() for private in (True, False)]))
"#;
/// The name of that key.
const KID: &str = "dummy";
/// A key that is nobody's.
const OTHER: &[u8] = include_bytes!("../../../identity/tests/it/rsa_for_tests.pem");

/// A `moto_server` on a free port; it ends with this value.
struct Moto {
    child: Child,
    url: String,
}

impl Moto {
    fn start() -> Self {
        let program = clients().join("moto/bin/moto_server");
        let mut child = Command::new(&program)
            .args(["--host", "127.0.0.1", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                let program = program.display();
                panic!("{program}: {error}; `cargo xtask test` installs it")
            });
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let place = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, place) = line.split_once("Running on http://")?;
            let end = place.find(|c: char| c.is_whitespace() || c.is_control());
            Some(format!("http://{}", &place[..end.unwrap_or(place.len())]))
        });
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            url: place.expect("moto says where it listens"),
        }
    }

    /// Calls an operation of Cognito's API, as its clients do.
    async fn call(&self, operation: &str, body: Value) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let target = format!("AWSCognitoIdentityProviderService.{operation}");
        let called = client
            .post(&self.url)
            .header("x-amz-target", target)
            .header("content-type", "application/x-amz-json-1.1")
            .body(body.to_string());
        let answer = called.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{operation}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A pool with one client and one user.
    async fn pool(&self) -> Pool {
        let made = self.call("CreateUserPool", json!({"PoolName": "people"}));
        let id = text(&made.await, "/UserPool/Id");
        let user = json!({"UserPoolId": id, "Username": "grace", "TemporaryPassword": PASSWORD});
        self.call("AdminCreateUser", user).await;
        let password = json!({
            "UserPoolId": id, "Username": "grace", "Password": PASSWORD, "Permanent": true,
        });
        self.call("AdminSetUserPassword", password).await;
        let client = self.client(&id).await;
        Pool { id, client }
    }

    async fn client(&self, pool: &str) -> String {
        let body = json!({
            "UserPoolId": pool, "ClientName": "web",
            "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"],
        });
        text(
            &self.call("CreateUserPoolClient", body).await,
            "/UserPoolClient/ClientId",
        )
    }

    /// Signs the user in with a client; the tokens.
    async fn sign_in(&self, client: &str) -> Tokens {
        let body = json!({
            "ClientId": client, "AuthFlow": "USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": "grace", "PASSWORD": PASSWORD},
        });
        let answer = self.call("InitiateAuth", body).await;
        Tokens {
            access: text(&answer, "/AuthenticationResult/AccessToken"),
            id: text(&answer, "/AuthenticationResult/IdToken"),
        }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

struct Pool {
    id: String,
    client: String,
}

impl Pool {
    fn issuer(&self) -> String {
        format!("{COGNITO}/{}", self.id)
    }

    /// The table of the configuration that trusts it.
    fn trusted(&self, jwks_url: &str) -> String {
        let (issuer, client) = (self.issuer(), &self.client);
        format!(
            "[[auth.oidc]]\nissuer = {issuer:?}\njwks_url = {jwks_url:?}\naccept = {{ client_id = {client:?} }}\n"
        )
    }
}

struct Tokens {
    access: String,
    id: String,
}

fn text(answer: &Value, at: &str) -> String {
    let found = answer.pointer(at).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("{at} in {answer}"))
        .to_owned()
}

/// What moto signs with: the private key and the public one, as PEM.
fn moto_keys() -> [String; 2] {
    let mut python = Command::new(clients().join("moto/bin/python3"));
    let printed = python.args(["-c", KEYS]).output().unwrap();
    serde_json::from_slice(&printed.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&printed.stderr)))
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// `claims` with one of them changed.
fn but(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

fn signed(algorithm: Algorithm, kid: &str, claims: &Value, key: &EncodingKey) -> String {
    let mut header = Header::new(algorithm);
    header.kid = Some(kid.to_owned());
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

/// A set with the public half of `key`.
fn key_set(kid: &str, key: &EncodingKey) -> String {
    let mut jwk =
        serde_json::to_value(Jwk::from_encoding_key(key, Algorithm::RS256).unwrap()).unwrap();
    jwk["kid"] = kid.into();
    json!({"keys": [jwk]}).to_string()
}

/// What the server says to somebody with this token.
async fn asked(server: &Server, caller: &Caller, token: &str) -> Reply {
    let caller = caller.clone().bearer(token);
    send(server, &caller, &Request::new("GET", "/chat/threads")).await
}

/// Asks until the status is `expected`; on the way it is `meanwhile`.
async fn until(server: &Server, caller: &Caller, token: &str, meanwhile: u16, expected: u16) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let reply = asked(server, caller, token).await;
        if reply.status == expected {
            return;
        }
        assert_eq!(reply.status, meanwhile, "{}", reply.visible());
        assert!(tokio::time::Instant::now() < deadline, "{}", reply.text);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Makes the user whom a token is about a member.
async fn invite(server: &Server, owner: &Caller, claims: &Value) -> String {
    let [issuer, subject] = ["/iss", "/sub"].map(|at| text(claims, at));
    let user = external_user(&issuer, &subject).as_str().to_owned();
    let body = json!({"user_id": user, "role": "member"});
    let member = Request::new("POST", "/control/members").json(&body);
    succeed(server, owner, member).await;
    user
}

/// Tokens that are wrong in one point each, made of the claims of a good one.
fn wrong(
    access: &str,
    claims: &Value,
    [private, public]: &[String; 2],
) -> Vec<(&'static str, String)> {
    let key = EncodingKey::from_rsa_pem(private.as_bytes()).unwrap();
    let by_key = |claims: &Value| signed(Algorithm::RS256, KID, claims, &key);
    let past = json!(claims["exp"].as_i64().unwrap() - 100_000);
    let secret = EncodingKey::from_secret(public.as_bytes());
    let nobodys = EncodingKey::from_rsa_pem(OTHER).unwrap();
    let (head, rest) = access.split_once('.').unwrap();
    let (body, signature) = rest.split_once('.').unwrap();
    let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "kid": KID}).to_string());
    let as_hs = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": KID}).to_string());
    let changed = URL_SAFE_NO_PAD.encode(but(claims, "sub", json!("ada")).to_string());
    vec![
        (
            "another use",
            by_key(&but(claims, "token_use", json!("id"))),
        ),
        (
            "another audience",
            by_key(&but(claims, "client_id", json!("x"))),
        ),
        ("expired", by_key(&but(claims, "exp", past))),
        (
            "another's key",
            signed(Algorithm::RS256, KID, claims, &nobodys),
        ),
        (
            "an unknown key",
            signed(Algorithm::RS256, "new", claims, &nobodys),
        ),
        (
            "a public secret",
            signed(Algorithm::HS256, KID, claims, &secret),
        ),
        ("no algorithm", format!("{none}.{body}.")),
        (
            "another algorithm's name",
            format!("{as_hs}.{body}.{signature}"),
        ),
        ("other claims", format!("{head}.{changed}.{signature}")),
        (
            "a stronger hash",
            signed(Algorithm::RS512, KID, claims, &key),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_signed_in_by_cognito_is_who_the_token_says_and_nobody_else_is_let_in() {
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    let (pool, other_pool) = (moto.pool().await, moto.pool().await);
    let keys = format!("{}/{}/.well-known/jwks.json", moto.url, pool.id);
    let server = serve(&pool.trusted(&keys)).await;
    let ada = Caller::resident(&server, 0);
    let tokens = moto.sign_in(&pool.client).await;
    let claims = claims(&tokens.access);

    let stranger = asked(&server, &ada, &tokens.access).await;
    assert_eq!(stranger.outcome(), (403, "tenant_forbidden".to_owned()));
    let user = invite(&server, &ada, &claims).await;
    let grace = ada.clone().bearer(&tokens.access);
    until(&server, &ada, &tokens.access, 403, 200).await;
    thread(&server, &grace, "th_1").await;
    post(&server, &grace, "th_1", &["by grace"]).await;
    let path = "/chat/threads/th_1/messages";
    let messages = succeed(&server, &grace, Request::new("GET", path)).await;
    let actor = &messages["items"][0]["routing"]["actor"]["user_id"];
    assert_eq!(actor, &json!(user), "{messages}");

    // What moto signs is what it signs, so the same claims under its key are as good.
    let [private, _] = moto_keys();
    let key = EncodingKey::from_rsa_pem(private.as_bytes()).unwrap();
    let by_key = |claims: &Value| signed(Algorithm::RS256, KID, claims, &key);
    assert_eq!(asked(&server, &ada, &by_key(&claims)).await.status, 200);
    let other_client = moto.client(&pool.id).await;
    let others = [
        ("an id token", tokens.id.clone()),
        ("another client", moto.sign_in(&other_client).await.access),
        (
            "another pool",
            moto.sign_in(&other_pool.client).await.access,
        ),
    ];
    let wrong = wrong(&tokens.access, &claims, &moto_keys());
    for (why, token) in others.into_iter().chain(wrong) {
        let refused = asked(&server, &ada, &token).await;
        assert_eq!(
            refused.outcome(),
            (401, "unauthenticated".to_owned()),
            "{why}"
        );
    }
    let bound = by_key(&but(&claims, "tid", json!("t_system")));
    let elsewhere = asked(&server, &ada, &bound).await;
    assert_eq!(elsewhere.outcome(), (403, "tenant_forbidden".to_owned()));
    assert_eq!(asked(&server, &ada, &tokens.access).await.status, 200);
    // Who is no member any more is out, whatever Cognito says.
    let place = format!("/control/members/{user}");
    succeed(&server, &ada, Request::new("DELETE", place)).await;
    until(&server, &ada, &tokens.access, 200, 403).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_taken_up_as_they_change_and_an_issuer_gone_bad_changes_nothing() {
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap();
    let pool = moto.pool().await;
    let issuer = Issuer::start(Answer::Endless).await;
    let server = serve(&pool.trusted(&issuer.url)).await;
    let ada = Caller::resident(&server, 0);
    let token = moto.sign_in(&pool.client).await.access;
    let claims = claims(&token);
    invite(&server, &ada, &claims).await;

    // Without keys nobody is let in, and nobody is told that they are wrong.
    let unknown = asked(&server, &ada, &token).await;
    assert_eq!(unknown.outcome(), (503, "backend_unavailable".to_owned()));
    assert!(unknown.header("retry-after").is_some(), "{unknown:?}");
    // Of what has no end no more is taken than what was on its way.
    assert!(issuer.sent() < SENT_MAX, "{} bytes", issuer.sent());
    let keys = format!("{}/{}/.well-known/jwks.json", moto.url, pool.id);
    let document = server.client.get(keys).send().await.unwrap();
    issuer.answers(Answer::Document(document.text().await.unwrap()));
    until(&server, &ada, &token, 503, 200).await;

    // Tokens that name unknown keys do not make the server ask and ask.
    let other = EncodingKey::from_rsa_pem(OTHER).unwrap();
    let (before, began) = (issuer.asked(), tokio::time::Instant::now());
    let storm = (0..100).map(|n| signed(Algorithm::RS256, &format!("k{n}"), &claims, &other));
    let storm: Vec<String> = storm.collect();
    let answers = storm.iter().map(|token| asked(&server, &ada, token));
    for refused in futures_util::future::join_all(answers).await {
        assert_eq!(refused.outcome(), (401, "unauthenticated".to_owned()));
    }
    let (more, seconds) = (issuer.asked() - before, began.elapsed().as_secs());
    assert!(more <= 1 + seconds / 10, "{more} times in {seconds} s");

    // Another key in the place of the first.
    issuer.answers(Answer::Document(key_set("second", &other)));
    let rotated = signed(Algorithm::RS256, "second", &claims, &other);
    until(&server, &ada, &rotated, 401, 200).await;
    let withdrawn = asked(&server, &ada, &token).await;
    assert_eq!(withdrawn.outcome(), (401, "unauthenticated".to_owned()));

    // A redirect is not followed, and what makes no sense takes nobody's key away.
    let third = signed(Algorithm::RS256, "third", &claims, &other);
    let elsewhere = Issuer::start(Answer::Document(key_set("third", &other))).await;
    for answer in [
        Answer::Redirect(elsewhere.url.clone()),
        Answer::Document("{\"keys\": [".to_owned()),
    ] {
        let before = issuer.answers(answer);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while issuer.asked() == before {
            let refused = asked(&server, &ada, &third).await;
            assert_eq!(refused.outcome(), (401, "unauthenticated".to_owned()));
            assert!(tokio::time::Instant::now() < deadline, "it is asked again");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(asked(&server, &ada, &third).await.status, 401);
        assert_eq!(asked(&server, &ada, &rotated).await.status, 200);
    }
    assert_eq!(elsewhere.asked(), 0);
}
