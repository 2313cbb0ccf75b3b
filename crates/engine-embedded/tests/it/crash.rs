//! `kill -9` at any moment loses nothing that was acknowledged.

use identity::Env;
use store::{EventLog, READ_EVENTS_MAX, Read, StreamKey};
use testkit::World;

use crate::{
    child::{self, STREAMS},
    subject::open,
};

/// Acknowledgements after which the child is killed, in each round.
const ACKS: [usize; 5] = [1, 50, 2_000, 9_000, 333];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_events_survive_a_kill_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let scope = world.scope("t_one", Env::Dev, "u_1").await;
    let mut acked = [0; STREAMS];
    let mut epoch = None;
    for acks in ACKS {
        let mut child = child::command("append", folder.path()).spawn().unwrap();
        for (count, line) in child::lines(&mut child).enumerate() {
            if count == acks {
                // What it still reports after this is in the pipe: acknowledged as well.
                child.kill().unwrap();
            }
            let (stream, seq) = line.split_once(' ').unwrap();
            acked[stream.parse::<usize>().unwrap()] = seq.parse().unwrap();
        }
        child.wait().unwrap();

        let engine = open(folder.path(), &world);
        let log = engine.events();
        for (n, acked) in acked.iter().enumerate() {
            let stream = child::stream(&scope, n);
            let found = read_numbers(&*log, &stream).await;
            let expected: Vec<u64> = (1..=found.len() as u64).collect();
            assert_eq!(found, expected, "every event is there once and in order");
            assert!(found.len() as u64 >= *acked, "{} of {acked}", found.len());
            let head = log.bounds(&stream).await.unwrap();
            assert_eq!(head.head, found.len() as u64);
            assert_eq!(*epoch.get_or_insert(head.epoch), head.epoch);
            let known = [1, *acked];
            for number in known
                .into_iter()
                .filter(|number| (1..=*acked).contains(number))
            {
                let repeated = child::append_number(&*log, &stream, number).await.unwrap();
                assert!(repeated.duplicate, "the key of {number} is remembered");
                assert_eq!(repeated.cursor.seq, number);
            }
        }
        drop(log);
        drop(engine);
    }
    assert!(acked.iter().sum::<u64>() as usize > ACKS.iter().sum::<usize>());
}

async fn read_numbers(log: &dyn EventLog, stream: &StreamKey) -> Vec<u64> {
    let (mut numbers, mut after) = (Vec::new(), None);
    loop {
        let page = log.read(stream, after, READ_EVENTS_MAX).await.unwrap();
        let Read::Page { events, .. } = page else {
            panic!("nothing was trimmed: {page:?}");
        };
        let Some(last) = events.last() else {
            return numbers;
        };
        after = Some(last.cursor);
        for event in events {
            let number: u64 = std::str::from_utf8(&event.body).unwrap().parse().unwrap();
            assert_eq!(event.cursor.seq, number, "a body belongs to its seq");
            numbers.push(number);
        }
    }
}
