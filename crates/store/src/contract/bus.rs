//! The laws of [`Bus`].

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future::join_all};

use super::{Subject, soon};
use crate::{
    BACKLOG_MESSAGES_MAX, Bus, Heard, Hearing, MESSAGE_BYTES_MAX, StoreError, StreamKey, Topic,
};

/// One test per law of `Bus`; `$subject` is an async function that opens a fresh engine.
#[macro_export]
macro_rules! bus_contract {
    ($subject:path) => {
        $crate::contract_tests!(
            bus,
            $subject,
            [
                law_1_every_subscriber_hears_every_message_once,
                law_2_messages_of_one_publisher_are_heard_in_order,
                law_3_topics_are_apart,
                law_4_a_slow_subscriber_is_told_that_it_missed_something,
                law_5_a_message_over_the_limit_is_refused,
            ]
        );
    };
}

type Port = dyn Subject<dyn Bus>;

fn topic(subject: &Port, name: &'static str) -> Topic {
    Topic::of_system(&subject.scopes().system, name)
}

async fn subscribe(port: &dyn Bus, topic: &Topic) -> Hearing {
    soon(port.subscribe(topic))
        .await
        .expect("a subscription succeeds")
}

async fn publish(port: &dyn Bus, topic: &Topic, message: impl Into<Bytes>) {
    soon(port.publish(topic, message.into()))
        .await
        .expect("a message is published");
}

async fn next(hearing: &mut Hearing) -> Heard {
    soon(hearing.next())
        .await
        .expect("a subscription has no end")
}

fn message(text: impl Into<Bytes>) -> Heard {
    Heard::Message(text.into())
}

/// Law 1. Lets some tell and several hear, one of them only from the middle.
pub async fn law_1_every_subscriber_hears_every_message_once(subject: &Port) {
    let topic = topic(subject, "law_1");
    let port = subject.port();
    publish(&*port, &topic, "before anybody hears").await;
    let mut early = [
        subscribe(&*port, &topic).await,
        subscribe(&*port, &topic).await,
    ];
    publish(&*port, &topic, "first").await;
    for hearing in &mut early {
        assert_eq!(next(hearing).await, message("first"));
    }
    let mut late = subscribe(&*port, &topic).await;
    let tellers = (0..20).map(|n| {
        let (port, topic) = (Arc::clone(&port), topic.clone());
        tokio::spawn(async move { publish(&*port, &topic, n.to_string()).await })
    });
    for told in join_all(tellers).await {
        told.expect("no teller panics");
    }
    let [first, second] = early;
    drop(first);
    publish(&*port, &topic, "last").await;
    for hearing in [&mut late, &mut { second }] {
        let mut heard = Vec::new();
        loop {
            match next(hearing).await {
                Heard::Message(text) if text == "last" => break,
                told => heard.push(told),
            }
        }
        assert_eq!(heard.len(), 20, "{heard:?}");
        for n in 0..20 {
            assert!(heard.contains(&message(n.to_string())), "{n} of {heard:?}");
        }
        assert!(hearing.next().now_or_never().is_none(), "and nothing twice");
    }
}

/// Law 2. Tells a long row, and hears it.
pub async fn law_2_messages_of_one_publisher_are_heard_in_order(subject: &Port) {
    let topic = topic(subject, "law_2");
    let port = subject.port();
    let mut hearing = subscribe(&*port, &topic).await;
    for round in 0..5 {
        for n in 0..100 {
            publish(&*port, &topic, format!("{round}.{n}")).await;
        }
        for n in 0..100 {
            assert_eq!(next(&mut hearing).await, message(format!("{round}.{n}")));
        }
    }
}

/// Law 3. Hears one topic while another, whose name begins alike, is full of messages; and the topic of a
/// stream while another tenant tells on that of a stream of the same name.
pub async fn law_3_topics_are_apart(subject: &Port) {
    let scopes = subject.scopes();
    let of = |scope| Topic::of_stream(&StreamKey::in_scope(scope, "chat", "th_1"));
    let mut own = subscribe(&*subject.port(), &of(&scopes.one)).await;
    for other in [&scopes.other_tenant, &scopes.other_env] {
        publish(&*subject.port(), &of(other), "another's").await;
    }
    publish(&*subject.port(), &of(&scopes.one), "own").await;
    assert_eq!(next(&mut own).await, message("own"));
    let (topic, other) = (topic(subject, "law_3"), topic(subject, "law_3_other"));
    let port = subject.port();
    let mut hearing = subscribe(&*port, &topic).await;
    let mut elsewhere = subscribe(&*port, &other).await;
    for n in 0..10 {
        publish(&*port, &other, n.to_string()).await;
    }
    publish(&*port, &topic, "mine").await;
    assert_eq!(next(&mut hearing).await, message("mine"));
    assert!(hearing.next().now_or_never().is_none());
    for n in 0..10 {
        assert_eq!(next(&mut elsewhere).await, message(n.to_string()));
    }
}

/// Law 4. Tells more than may wait, while one subscriber sleeps and another hears.
pub async fn law_4_a_slow_subscriber_is_told_that_it_missed_something(subject: &Port) {
    let topic = topic(subject, "law_4");
    let port = subject.port();
    let mut slow = subscribe(&*port, &topic).await;
    let mut quick = subscribe(&*port, &topic).await;
    let told = 3 * BACKLOG_MESSAGES_MAX;
    for n in 0..told {
        publish(&*port, &topic, n.to_string()).await;
        assert_eq!(next(&mut quick).await, message(n.to_string()));
    }
    let mut expected = Some(0);
    let mut missed = false;
    while expected != Some(told) {
        match next(&mut slow).await {
            Heard::Missed => {
                missed = true;
                expected = None;
            }
            Heard::Message(text) => {
                let text = std::str::from_utf8(&text).expect("a number was told");
                let n: usize = text.parse().expect("a number was told");
                assert!(
                    expected.is_none_or(|expected| expected == n),
                    "{n} instead of {expected:?}"
                );
                expected = Some(n + 1);
            }
        }
    }
    assert!(missed, "{told} messages were kept for one who sleeps");
    publish(&*port, &topic, "after").await;
    assert_eq!(next(&mut slow).await, message("after"));
}

/// Law 5. Tells a message of the largest size, and one a byte larger.
pub async fn law_5_a_message_over_the_limit_is_refused(subject: &Port) {
    let topic = topic(subject, "law_5");
    let port = subject.port();
    let mut hearing = subscribe(&*port, &topic).await;
    let large = Bytes::from(vec![0; MESSAGE_BYTES_MAX + 1]);
    let refused = soon(port.publish(&topic, large)).await;
    assert!(matches!(refused, Err(StoreError::Limit(_))), "{refused:?}");
    let largest = Bytes::from(vec![1; MESSAGE_BYTES_MAX]);
    publish(&*port, &topic, largest.clone()).await;
    assert_eq!(next(&mut hearing).await, message(largest));
}
