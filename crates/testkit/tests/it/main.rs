//! The in-memory engines keep the laws of their ports, and what breaks things breaks them as it is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests"
)]

mod fault_proxy;
mod faulty;
mod observed;
mod subject;

mod documents {
    store::documents_contract!(crate::subject::documents);
}

mod events {
    store::events_contract!(crate::subject::events);
}

mod throttle {
    store::throttle_contract!(crate::subject::throttle);
}

mod bus {
    store::bus_contract!(crate::subject::bus);
}

mod blobs {
    store::blobs_contract!(crate::subject::blobs);
}
