//! A node is killed with a thousand streams open.

use std::time::Duration;

use futures_util::future::join_all;

use crate::{
    client::Caller,
    faults::{Follower, Nodes, Writer},
    faults_talk::messages,
    several::Cloud,
    streams::{post, thread},
};

const THREADS: usize = 10;
/// Streams of each thread.
const STREAMS: usize = 100;
/// Between two messages of a thread.
const PACE: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_dies_with_a_thousand_streams_and_they_go_on_elsewhere() {
    let cloud = Cloud::start().await;
    let [one, two] = cloud.nodes("").await;
    let ada = Caller::resident(&one, 0);
    let both = Nodes::of(&[&one, &two]);
    let mut talks = Vec::new();
    for n in 0..THREADS {
        let id = format!("th_{n}");
        thread(&two, &ada, &id).await;
        let first = post(&two, &ada, &id, &["first"]).await.remove(0);
        let streams = (0..STREAMS).map(|_| Follower::start(&both, &ada, &id, &first));
        let followers = join_all(streams).await;
        talks.push((id, followers));
    }
    // Posts go through both as well; those that the node took with it are made again.
    let writers = talks
        .iter()
        .map(|(id, _)| Writer::start(&both, &ada, id, id, PACE));
    let writers: Vec<Writer> = writers.collect();
    for writer in &writers {
        writer.until_on().await;
    }
    drop(one);
    let all = talks.iter().flat_map(|(_, followers)| followers);
    for follower in all {
        follower.opened(2).await;
    }
    for (writer, (id, followers)) in writers.into_iter().zip(&talks) {
        writer.until_on().await;
        let acked = writer.stop().await;
        for follower in followers {
            assert_eq!(follower.hears(acked.len()).await, acked);
            assert_eq!(follower.heard().gaps, [""; 0]);
        }
        assert_eq!(messages(&two, &ada, id).await[1..], acked);
    }
}
