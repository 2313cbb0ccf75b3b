//! The three calls, each with an end: one HTTP/2 connection that mends itself, a bounded number
//! of calls at a time, and the proof of who calls.

use std::time::Duration;

use gcloud_sdk::{
    GoogleAuthHeaders, HeaderMap,
    google::firestore::v1::{
        BatchGetDocumentsRequest, BatchGetDocumentsResponse, CommitResponse, RunQueryRequest,
        RunQueryResponse, firestore_client::FirestoreClient,
    },
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tonic::{
    Extensions, Request, Status, Streaming,
    client::Grpc,
    codegen::http::{
        HeaderName, HeaderValue,
        header::{AUTHORIZATION, InvalidHeaderValue},
        uri::PathAndQuery,
    },
    metadata::MetadataMap,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_prost::ProstCodec;

use crate::{
    FirestoreError, FirestoreSettings,
    answer::{AWAY, CROWDED, Fault, LATE},
    wire,
};

/// Calls at a time; a connection of the service carries 100.
const CALLS_MAX: usize = 64;
/// Longest wait until a call may be made.
const TURN_WAIT_MAX: Duration = Duration::from_secs(1);
/// Longest wait for a connection.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(2);
/// A connection on which calls wait is asked for a sign of life after the first, and given up
/// when there was none after the second.
const SILENCE_MAX: Duration = Duration::from_secs(10);
const SIGN_WAIT_MAX: Duration = Duration::from_secs(5);
/// Bytes that may be under way at once, per call and in all: a page of large documents
/// would otherwise come at 64 KiB per round trip.
const CALL_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// What tokens are good for: documents alone.
const SCOPE: &str = "https://www.googleapis.com/auth/datastore";
/// Which database a call is for; the service routes by it.
const PREFIX: HeaderName = HeaderName::from_static("google-cloud-resource-prefix");
/// Everybody's token at the emulator: it lets every request pass.
const STUB: HeaderValue = HeaderValue::from_static("Bearer owner");

/// A connection to one database; it is made when the first call needs it.
pub(crate) struct Connection {
    channel: Channel,
    caller: Caller,
    prefix: HeaderValue,
    turns: Semaphore,
}

/// Who calls.
enum Caller {
    /// A service account, with tokens that are renewed before they end.
    Account(GoogleAuthHeaders),
    /// Anybody, at the emulator.
    Anybody,
}

impl Connection {
    /// # Errors
    /// [`FirestoreError::Invalid`] when the settings are of no use.
    pub(crate) async fn open(settings: &FirestoreSettings) -> Result<Self, FirestoreError> {
        let location = &settings.location;
        let refused = |_: InvalidHeaderValue| invalid("the database's name");
        Ok(Self {
            channel: channel(location.url(), location.is_emulator())?,
            caller: caller(settings).await?,
            prefix: HeaderValue::from_str(&location.name()).map_err(refused)?,
            turns: Semaphore::new(CALLS_MAX),
        })
    }

    /// Carries out `writes` together, or none of them.
    pub(crate) async fn commit(
        &self,
        request: wire::CommitRequest,
        deadline: Instant,
    ) -> Result<CommitResponse, Fault> {
        let call = async {
            let request = self.request(request, deadline).await?;
            let mut client = Grpc::new(self.channel.clone());
            client.ready().await.map_err(|_| Fault::Unsent(AWAY))?;
            let path = PathAndQuery::from_static(wire::COMMIT);
            let codec = ProstCodec::<wire::CommitRequest, CommitResponse>::default();
            let answer = client.unary(request, path, codec).await;
            let answer = answer.map_err(|status| noted(&status, Fault::of_commit(&status)))?;
            Ok(answer.into_inner())
        };
        self.in_turn(call, deadline).await
    }

    /// Reads documents by their names, all at one moment.
    pub(crate) async fn get(
        &self,
        request: BatchGetDocumentsRequest,
        deadline: Instant,
    ) -> Result<Vec<BatchGetDocumentsResponse>, Fault> {
        let call = async {
            let request = self.request(request, deadline).await?;
            let answer = self.client().batch_get_documents(request).await;
            all(answer.map_err(|status| unanswered(&status))?.into_inner()).await
        };
        self.in_turn(call, deadline).await
    }

    /// Reads documents by a query.
    pub(crate) async fn query(
        &self,
        request: RunQueryRequest,
        deadline: Instant,
    ) -> Result<Vec<RunQueryResponse>, Fault> {
        let call = async {
            let request = self.request(request, deadline).await?;
            let answer = self.client().run_query(request).await;
            all(answer.map_err(|status| unanswered(&status))?.into_inner()).await
        };
        self.in_turn(call, deadline).await
    }

    fn client(&self) -> FirestoreClient<Channel> {
        FirestoreClient::new(self.channel.clone())
    }

    /// A request that says who asks, and about which database.
    async fn request<T>(&self, message: T, deadline: Instant) -> Result<Request<T>, Fault> {
        let mut headers = match &self.caller {
            Caller::Account(account) => {
                let headers = account.headers().await.map_err(|error| {
                    // Neither key nor token is in it, but it may name the account.
                    tracing::warn!(%error, "no token for the documents' database");
                    NO_TOKEN
                })?;
                HeaderMap::clone(&headers)
            }
            Caller::Anybody => HeaderMap::from_iter([(AUTHORIZATION, STUB)]),
        };
        headers.insert(PREFIX, self.prefix.clone());
        let metadata = MetadataMap::from_headers(headers);
        let mut request = Request::from_parts(metadata, Extensions::new(), message);
        // Who is not waited for need not work on it.
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        Ok(request)
    }

    /// Makes a call when it is its turn, and ends it at `deadline`.
    async fn in_turn<T>(
        &self,
        call: impl Future<Output = Result<T, Fault>>,
        deadline: Instant,
    ) -> Result<T, Fault> {
        let turn = deadline.min(Instant::now() + TURN_WAIT_MAX);
        let turn = timeout_at(turn, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| Fault::Unsent(CROWDED))?;
        let answer = timeout_at(deadline, call).await;
        answer.unwrap_or(Err(Fault::Lost(LATE)))
    }
}

const NO_TOKEN: Fault = Fault::Unsent("there is no token for it");

fn invalid(what: &str) -> FirestoreError {
    FirestoreError::Invalid(format!("{what} is of no use"))
}

fn channel(url: &str, in_clear: bool) -> Result<Channel, FirestoreError> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| invalid("the endpoint"))?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_WAIT_MAX)
        .http2_keep_alive_interval(SILENCE_MAX)
        .keep_alive_timeout(SIGN_WAIT_MAX)
        .initial_stream_window_size(CALL_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    if in_clear {
        return Ok(endpoint.connect_lazy());
    }
    let tls = ClientTlsConfig::new().with_webpki_roots();
    let endpoint = endpoint.tls_config(tls).map_err(|_| invalid("TLS"))?;
    Ok(endpoint.connect_lazy())
}

async fn caller(settings: &FirestoreSettings) -> Result<Caller, FirestoreError> {
    let Some(credentials) = &settings.credentials else {
        return Ok(Caller::Anybody);
    };
    let key = serde_json::from_str(credentials.key()).map_err(|_| invalid("the key"))?;
    let account = GoogleAuthHeaders::from_service_account_key(key, vec![SCOPE.to_owned()]).await;
    // What it says of a key may quote it.
    Ok(Caller::Account(
        account.map_err(|_| invalid("the key of the service account"))?,
    ))
}

/// Everything that a stream brings; half of it is nothing.
async fn all<T>(mut stream: Streaming<T>) -> Result<Vec<T>, Fault> {
    let mut items = Vec::new();
    while let Some(item) = stream
        .message()
        .await
        .map_err(|status| unanswered(&status))?
    {
        items.push(item);
    }
    Ok(items)
}

fn unanswered(status: &Status) -> Fault {
    noted(status, Fault::of_read(status))
}

/// The service's words go to the log alone.
fn noted(status: &Status, fault: Fault) -> Fault {
    match &fault {
        Fault::Unmet | Fault::Contended => tracing::debug!(%status, "a call failed"),
        Fault::Unsent(_) | Fault::Lost(_) | Fault::Refused(_) | Fault::Damaged => {
            tracing::warn!(%status, "a call failed");
        }
    }
    fault
}
