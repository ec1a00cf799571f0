//! `#[rasyncio::main]` and `#[rasyncio::test]`, with and without options.

use std::time::{Duration, Instant};

use rasyncio::{events, sleep};

#[rasyncio::test]
async fn a_test_is_on_virtual_time() {
    let start = Instant::now();
    sleep(Duration::from_secs(86_400)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(!events::get_debug());
}

#[rasyncio::test(clock = "real")]
async fn a_test_may_be_on_real_time() {
    let start = Instant::now();
    sleep(Duration::from_millis(10)).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(10));
}

#[rasyncio::test(debug)]
async fn a_test_may_be_in_debug_mode() {
    assert!(events::get_debug());
}

#[rasyncio::test]
async fn a_test_may_answer_a_result() -> Result<(), Box<dyn std::error::Error>> {
    sleep(Duration::from_secs(1)).await?;
    let number: i32 = "42".parse()?;
    assert_eq!(number, 42);
    Ok(())
}

#[rasyncio::test]
#[should_panic(expected = "as it should")]
async fn a_test_keeps_its_other_attributes() {
    panic!("as it should");
}

#[test]
fn a_main_answers_what_its_body_does() {
    #[rasyncio::main(debug = true, clock = "virtual")]
    async fn main() -> Result<u8, String> {
        assert!(events::get_debug());
        sleep(Duration::from_secs(86_400))
            .await
            .map_err(|error| error.to_string())?;
        Err("no".to_owned())
    }
    assert_eq!(main(), Err("no".to_owned()));
}

/// What `main` of a program answers decides the exit code, as everywhere in Rust.
#[test]
fn an_error_of_main_is_the_exit_code() {
    use std::process::Termination;
    #[rasyncio::main]
    async fn main() -> Result<(), String> {
        Err("printed by its Debug".to_owned())
    }
    assert_eq!(
        format!("{:?}", main().report()),
        format!("{:?}", std::process::ExitCode::FAILURE)
    );
}
