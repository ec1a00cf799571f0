//! `run_in_executor`: the loop's own pool, and a pool of threads.
//!
//! Threads serve calls that block as well as calls that compute: there is no lock that they share.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use rasyncio::threads::{WorkerPool, run_in_executor, set_default_executor};

fn read_first_line(path: &str) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(File::open(path)?).read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/executors.rs");
    let line = run_in_executor(None, || read_first_line(path)).await??;
    println!("default:   {line}");

    let pool = WorkerPool::new("mine", 2);
    let call = || i64::from_str_radix("ff", 16);
    println!("threads:   {}", run_in_executor(Some(&pool), call).await??);

    set_default_executor(pool);
    println!(
        "replaced:  {}",
        run_in_executor(None, || 2_i32.pow(10)).await?
    );
    Ok(())
}
