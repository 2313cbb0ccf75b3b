//! The contract suites: one test per law of a port.
