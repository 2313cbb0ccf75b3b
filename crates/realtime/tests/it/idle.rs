//! What happens when the directory cannot be asked.

use std::time::Duration;

use futures_util::future::join_all;

use crate::{
    app::App,
    rails::RAILS,
    recording::closing,
    stream::{Stream, TRANSPORTS},
};

#[tokio::test]
async fn a_stream_survives_a_short_outage_of_the_directory() {
    let app = App::with(|config| config.timings.recheck = Duration::from_millis(10)).await;
    let alice = app.alice().await;
    let mut sse = alice.sse(None).await;
    let (scope, route) = app.route().await;
    app.world.directory.set_down(true);
    let data = serde_json::value::RawValue::from_string("1".to_owned()).unwrap();
    let message = tenantry_realtime::Message::new(None, data, None).unwrap();
    for _ in 0..3 {
        let id = app
            .realtime
            .publish(&scope, &route, &message)
            .await
            .unwrap();
        assert_eq!(sse.ids(1).await, [id.cursor.to_string()]);
    }
    app.world.directory.set_down(false);
    let id = alice.say("2").await;
    assert_eq!(sse.ids(1).await, [id]);
}

#[tokio::test]
async fn a_stream_ends_when_access_stays_unknown() {
    let ends = async |(rail, transport)| {
        let quick = |config: &mut tenantry_realtime::RealtimeConfig| {
            config.timings.recheck = Duration::from_millis(10);
        };
        let app = App::on_with(rail, quick).await;
        let mut stream = Stream::open(transport, &app.alice().await, None).await;
        app.world.directory.set_down(true);
        assert_eq!(stream.end().await, "drain");
        drop(stream);
        app.closed(&closing(&rail, transport, "unverified")).await;
        assert_eq!(app.realtime.connections(), 0);
    };
    let all = RAILS
        .into_iter()
        .flat_map(|rail| TRANSPORTS.map(|transport| (rail, transport)));
    join_all(all.map(ends)).await;
}
