#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rasyncio_fuzz::tls_state::run(data));
