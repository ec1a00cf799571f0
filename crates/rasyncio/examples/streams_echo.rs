//! Streams: a server that answers in capitals, and its clients.

use rasyncio::{StreamReader, StreamWriter, TaskGroup, open_connection, start_server};
use std::error::Error;
use std::io;
use std::net::SocketAddr;

/// Sends every line back in capitals, until the client has no more.
async fn serve(mut reader: StreamReader, writer: StreamWriter) -> Result<(), Box<dyn Error>> {
    loop {
        let line = reader.readline().await?;
        if line.is_empty() {
            break;
        }
        writer.write(&line.to_ascii_uppercase())?;
        writer.drain().await?;
    }
    writer.close();
    writer.wait_closed().await?;
    Ok(())
}

async fn handle(reader: StreamReader, writer: StreamWriter) {
    if let Err(error) = serve(reader, writer).await {
        eprintln!("a client is lost: {error}");
    }
}

async fn client(
    server: SocketAddr,
    name: &'static str,
    lines: Vec<String>,
) -> io::Result<Vec<String>> {
    let (mut reader, writer) = open_connection(server).await?;
    let mut answers = Vec::new();
    for line in lines {
        writer
            .write(format!("{name}: {line}\n").as_bytes())
            .map_err(io::Error::other)?;
        writer.drain().await?;
        let answer = reader.readline().await.map_err(io::Error::other)?;
        answers.push(String::from_utf8_lossy(&answer).trim().to_owned());
    }
    writer.write_eof()?;
    let is_over = reader.read_to_end().await?.is_empty();
    println!("  {name}: end of file: {is_over}");
    writer.close();
    writer.wait_closed().await?;
    Ok(answers)
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = start_server(handle, "127.0.0.1:0").await?;
    let address = server.local_addrs()[0];

    println!("one client:");
    let lines = vec!["hello".to_owned(), "world".to_owned()];
    println!("  {:?}", client(address, "ann", lines).await?);

    println!("many clients:");
    let group = TaskGroup::new();
    let tasks = group
        .run(async {
            let tasks = (0..5).map(|n| client(address, "all", vec![n.to_string()]));
            let tasks = tasks.map(|client| group.create_task(client));
            Ok::<_, io::Error>(tasks.collect::<Vec<_>>())
        })
        .await?;
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await?);
    }
    println!("  {results:?}");

    server.close();
    server.wait_closed().await?;
    println!("serving: {}", server.is_serving());
    Ok(())
}
