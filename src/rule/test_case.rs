//! test_case
