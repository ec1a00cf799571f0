//! HTTP by hyper, on this loop: connections are tasks, and SIGINT or SIGTERM let requests finish.
//!
//!     cargo run --package rasyncio --example hyper_server --features hyper -- 127.0.0.1:8080
//!     curl http://127.0.0.1:8080/hello

use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use rasyncio::hyper::Timer;
use rasyncio::net::{TcpListener, TcpStream};
use rasyncio::signals::add_signal_handler;
use rasyncio::{Event, all_tasks, create_task, current_task, wait};

/// How long requests may go on once the end has been asked for.
const GRACE: Duration = Duration::from_secs(10);

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from(match request.uri().path() {
        "/hello" => "hello\n",
        _ => "there is nothing here\n",
    }));
    if request.uri().path() != "/hello" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// Serves one connection. When `ending` is set it finishes the request that it is at, and no more.
async fn serve(stream: TcpStream, ending: Rc<Event>) {
    let mut builder = http1::Builder::new();
    builder.timer(Timer);
    let mut connection = pin!(builder.serve_connection(stream, service_fn(answer)));
    let mut asked = pin!(ending.wait());
    let mut is_ending = false;
    let served = poll_fn(|cx| {
        if !is_ending && asked.as_mut().poll(cx).is_ready() {
            is_ending = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    });
    if let Err(error) = served.await {
        eprintln!("a connection has failed: {error}");
    }
}

async fn accept(listener: TcpListener, ending: Rc<Event>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        create_task(serve(stream, ending.clone()));
    }
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("http://{}/hello", listener.local_addr()?);

    let ending = Rc::new(Event::new());
    let accepting = Rc::new(create_task(accept(listener, ending.clone())));
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let (ending, accepting) = (ending.clone(), accepting.clone());
        add_signal_handler(signal, move || {
            ending.set();
            accepting.cancel();
        })?;
    }
    ending.wait().await?;
    wait([&*accepting]).await?;

    // All that is left are connections. Those that take too long are cancelled when `main` ends.
    let connections = all_tasks()
        .into_iter()
        .filter(|task| Some(task) != current_task().as_ref());
    let (done, pending) = wait(connections).timeout(GRACE).await?;
    println!(
        "{} have finished, {} are cut off",
        done.len(),
        pending.len()
    );
    Ok(())
}
