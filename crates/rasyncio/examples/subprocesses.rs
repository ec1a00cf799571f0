//! Subprocesses: start, talk to, wait for and end other programs.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rasyncio::subprocess::{Command, create_subprocess_shell};
use rasyncio::timeout;

fn bytes(bytes: &[u8]) -> String {
    format!("b\"{}\"", bytes.escape_ascii())
}

#[rasyncio::main]
async fn main() -> io::Result<()> {
    println!("output and exit code:");
    let command = Command::shell("echo hello; exit 3").stdout(Stdio::piped());
    let mut process = command.spawn()?;
    let (output, _) = process.communicate(b"").await?;
    let code = process.returncode().expect("it has ended");
    println!("   {} {code}", bytes(&output.expect("it is a pipe")));

    println!("a conversation:");
    let upper = "while read line; do echo $line | tr a-z A-Z; done";
    let command = Command::shell(upper)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut process = command.spawn()?;
    let stdin = process.stdin.take().expect("it is a pipe");
    let mut stdout = process.stdout.take().expect("it is a pipe");
    for word in ["one", "two"] {
        stdin
            .write(format!("{word}\n").as_bytes())
            .map_err(io::Error::other)?;
        stdin.drain().await?;
        let line = stdout.readline().await.map_err(io::Error::other)?;
        println!("   {}", bytes(&line));
    }
    stdin.close();
    let status = process.wait().await?;
    println!("   exit code: {}", status.code().expect("nobody kills it"));

    println!("through a shell:");
    let pipes = [Stdio::inherit(), Stdio::piped(), Stdio::piped()];
    let mut process = create_subprocess_shell("echo out; echo err >&2", pipes)?;
    let (output, errors) = process.communicate(b"").await?;
    let (output, errors) = (output.unwrap_or_default(), errors.unwrap_or_default());
    println!("   ({}, {})", bytes(&output), bytes(&errors));

    println!("too slow, so it is ended:");
    let process = Command::new("sleep").arg("3600").spawn()?;
    if timeout(Duration::from_millis(50), process.wait())
        .await
        .is_err()
    {
        process.terminate()?;
        process.wait().await?;
        let terminated = process.returncode() == Some(-libc::SIGTERM);
        println!(
            "   {}",
            if terminated {
                "SIGTERM"
            } else {
                "something else"
            }
        );
    }
    Ok(())
}
