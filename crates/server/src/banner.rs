//! What `dev` prints for people: lines that can be pasted as they are.

use std::path::Path;

use crate::dev::{Facts, Resident, THREAD};

/// Opens a WebSocket with nothing but curl: the frames arrive as they are.
const UPGRADE: &str = "-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
    -H 'Sec-WebSocket-Key: dGVuYW50cnkgc2F5cyBoaQ==' -H 'Sec-WebSocket-Protocol: tenantry.v1'";

/// The whole text.
pub(crate) fn text(facts: &Facts, folder: &Path) -> String {
    let mut text = format!(
        "Tenantry serves {}, durable in {}\n\nbootstrap key of t_system: {}\n",
        facts.url,
        folder.display(),
        facts.bootstrap_key
    );
    for (resident, name) in facts.residents.iter().zip(["North", "South"]) {
        let Resident {
            tenant,
            project,
            token,
        } = resident;
        text.push_str(&format!(
            "\n{name}: tenant {tenant}, project {project}, a member's token (12 hours):\n{token}\n"
        ));
    }
    if let [north, south] = facts.residents.as_slice() {
        text.push_str(&lines(facts, north, south));
        text.push_str(&upload(facts, north));
    }
    text
}

fn lines(facts: &Facts, north: &Resident, south: &Resident) -> String {
    let (url, asks) = (&facts.url, headers(north, &north.token));
    let stranger = headers(north, &south.token);
    let welcome = &facts.welcome;
    let json = "-H 'Content-Type: application/json'";
    format!(
        "\n# stream the thread (leave it running; Ctrl-C ends it)\n\
         curl -sSN {asks} {url}/sse/chat/{THREAD}\n\
         \n# post a message (in another terminal)\n\
         curl -sS {asks} {json} -d '{{\"data\":{{\"text\":\"hello\"}}}}' {url}/chat/threads/{THREAD}/messages\n\
         \n# resume after the first message: everything since, then live\n\
         curl -sSN {asks} -H 'Last-Event-ID: {welcome}' {url}/sse/chat/{THREAD}\n\
         \n# connect a WebSocket (frames are shown raw; Ctrl-C ends it)\n\
         curl -sSN --http1.1 --output - {UPGRADE} {asks} {url}/ws/chat/{THREAD}\n\
         \n# be refused with the other tenant's token: 403 tenant_forbidden\n\
         curl -sS {stranger} {url}/chat/threads/{THREAD}/messages\n"
    )
}

/// A file's way, with nothing but a shell, curl and sed: the answer's `url` and `fields` become
/// curl's options.
fn upload(facts: &Facts, north: &Resident) -> String {
    let (url, asks) = (&facts.url, headers(north, &north.token));
    let json = "-H 'Content-Type: application/json'";
    let raw = format!("{url}/nexus/raw-storage");
    let options = r#"s/.*"url":"([^"]*)".*"fields":\{([^}]*)\}.*/url="\1"\n\2/; s/"([^"]*)":"([^"]*)",?/form-string="\1=\2"\n/g"#;
    format!(
        "\n# ask for a form, and send a file with it: straight to the object store\n\
         form=$(curl -sS {asks} {json} -d '{{\"filename\":\"hello.txt\",\"content_type\":\"text/plain\",\"size\":5}}' {raw}/presign)\n\
         printf %s \"$form\" | sed -E '{options}' | curl -sS -K - -F 'file=hello;filename=hello.txt'\n\
         \n# register what was sent, and read it back\n\
         asset=$(printf %s \"$form\" | sed -E 's/.*\"asset_id\":\"([^\"]*)\".*/\\1/')\n\
         curl -sS {asks} {json} -d \"{{\\\"asset_id\\\":\\\"$asset\\\"}}\" {raw}/register\n\
         curl -sSL {asks} {raw}/$asset/content\n"
    )
}

fn headers(resident: &Resident, token: &str) -> String {
    let Resident {
        tenant, project, ..
    } = resident;
    format!(
        "-H 'Authorization: Bearer {token}' -H 'X-Tenant-Id: {tenant}' -H 'X-Env: dev' -H 'X-Project-Id: {project}'"
    )
}
