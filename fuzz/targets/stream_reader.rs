#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rasyncio_fuzz::stream_reader::run(data));
