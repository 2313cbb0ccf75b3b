//! Every law of every port that the engine has.

mod events {
    store::events_contract!(crate::subject::engine);
}

mod relocation {
    store::relocation_contract!(crate::subject::engine);
}

mod throttle {
    store::throttle_contract!(crate::subject::engine);
}

mod bus {
    store::bus_contract!(crate::subject::engine);
}
