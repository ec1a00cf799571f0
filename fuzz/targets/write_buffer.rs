#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rasyncio_fuzz::write_buffer::run(data));
