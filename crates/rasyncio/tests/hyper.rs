//! hyper serves and asks on this loop: connections kept, many of them, HTTP/2, ends in good order.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};
use rasyncio::hyper::{Executor, Timer};
use rasyncio::net::{TcpListener, TcpStream};
use rasyncio::streams::{Duplex, open_connection};
use rasyncio::{Event, create_task, gather_iter, sleep, yield_now};

type Outcome = Result<(), Box<dyn std::error::Error>>;
type Client = client::conn::http1::SendRequest<Full<Bytes>>;

/// Answers with what was sent, after the path.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let answer = [path.as_bytes(), b":", &body].concat();
    Ok(Response::new(Full::from(answer)))
}

/// A server for as long as the loop runs, and the number of connections that it has had.
async fn serve() -> io::Result<(SocketAddr, Rc<Cell<u32>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let count = Rc::new(Cell::new(0));
    let counted = count.clone();
    create_task(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            counted.set(counted.get() + 1);
            let mut builder = server::conn::http1::Builder::new();
            builder.timer(Timer);
            create_task(builder.serve_connection(stream, service_fn(echo)));
        }
        #[allow(unreachable_code)]
        Ok::<_, io::Error>(())
    });
    Ok((address, count))
}

async fn connect(address: SocketAddr) -> Result<Client, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address).await?;
    let (client, connection) = client::conn::http1::handshake(stream).await?;
    create_task(connection);
    Ok(client)
}

fn request(path: &str, body: &str) -> Request<Full<Bytes>> {
    let body = Full::from(body.to_owned());
    let request = Request::post(path).header("host", "localhost");
    request.body(body).unwrap()
}

async fn ask(client: &mut Client, path: &str, body: &str) -> Result<Bytes, hyper::Error> {
    client.ready().await?;
    let response = client.send_request(request(path, body)).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

#[test]
fn requests_follow_each_other_on_one_connection() -> Outcome {
    rasyncio::run(async {
        let (address, count) = serve().await?;
        let mut client = connect(address).await?;
        for number in 0..100 {
            let body = number.to_string();
            assert_eq!(ask(&mut client, "/n", &body).await?, format!("/n:{number}"));
        }
        assert_eq!(count.get(), 1);
        Ok(())
    })
}

#[test]
fn many_connections_are_served_at_once() -> Outcome {
    rasyncio::run(async {
        let (address, count) = serve().await?;
        let clients = (0..200).map(|which| async move {
            let mut client = connect(address).await.unwrap();
            for number in 0..3 {
                let body = format!("{which}.{number}");
                assert_eq!(
                    ask(&mut client, "/", &body).await.unwrap(),
                    format!("/:{body}")
                );
            }
        });
        gather_iter(clients).await?;
        assert_eq!(count.get(), 200);
        Ok(())
    })
}

#[test]
fn a_large_body_goes_both_ways() -> Outcome {
    rasyncio::run(async {
        let (address, _) = serve().await?;
        let mut client = connect(address).await?;
        let body = "x".repeat(5_000_000);
        let answer = ask(&mut client, "/large", &body).await?;
        assert_eq!(answer.len(), body.len() + "/large:".len());
        Ok(())
    })
}

#[test]
fn streams_carry_http_as_well_as_sockets_do() -> Outcome {
    rasyncio::run(async {
        let (address, _) = serve().await?;
        let duplex = Duplex::from(open_connection(address).await?);
        let (mut client, connection) = client::conn::http1::handshake(duplex).await?;
        create_task(connection);
        let body = "y".repeat(1_000_000);
        let answer = ask(&mut client, "/s", &body).await?;
        assert_eq!(answer.len(), body.len() + "/s:".len());
        Ok(())
    })
}

#[test]
fn http_2_runs_its_streams_as_tasks_of_the_loop() -> Outcome {
    rasyncio::run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        create_task(async move {
            let (stream, _) = listener.accept().await?;
            let mut builder = server::conn::http2::Builder::new(Executor);
            builder.timer(Timer);
            let served = builder.serve_connection(stream, service_fn(echo)).await;
            served.map_err(io::Error::other)
        });
        let stream = TcpStream::connect(address).await?;
        let (client, connection) =
            client::conn::http2::handshake::<_, _, Full<Bytes>>(Executor, stream).await?;
        create_task(connection);
        let answers = (0..50).map(|number| {
            let mut client = client.clone();
            async move {
                client.ready().await.unwrap();
                let request = Request::post("http://localhost/two");
                let request = request.body(Full::from(number.to_string())).unwrap();
                let response = client.send_request(request).await.unwrap();
                response.into_body().collect().await.unwrap().to_bytes()
            }
        });
        for (number, answer) in gather_iter(answers).await?.iter().enumerate() {
            assert_eq!(*answer, format!("/two:{number}"));
        }
        Ok(())
    })
}

#[test]
fn a_request_in_hand_is_answered_before_a_graceful_end() -> Outcome {
    rasyncio::run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (begun, ending) = (Rc::new(Event::new()), Rc::new(Event::new()));
        let server = create_task({
            let (begun, ending) = (begun.clone(), ending.clone());
            async move {
                let (stream, _) = listener.accept().await.unwrap();
                let slow = service_fn(|request| {
                    let begun = begun.clone();
                    async move {
                        begun.set();
                        // The end is asked for meanwhile.
                        sleep(Duration::from_millis(30)).await.unwrap();
                        echo(request).await
                    }
                });
                let mut connection =
                    pin!(server::conn::http1::Builder::new().serve_connection(stream, slow));
                let mut asked = pin!(ending.wait());
                let mut is_ending = false;
                poll_fn(|cx| {
                    if !is_ending && asked.as_mut().poll(cx).is_ready() {
                        is_ending = true;
                        Pin::as_mut(&mut connection).graceful_shutdown();
                    }
                    connection.as_mut().poll(cx)
                })
                .await
            }
        });
        let mut client = connect(address).await?;
        let answer = create_task(async move {
            let answer = ask(&mut client, "/last", "words").await;
            (answer, client)
        });
        begun.wait().await?;
        ending.set();
        let (answer, mut client) = answer.await?;
        assert_eq!(answer?, "/last:words");
        server.await??;
        assert!(ask(&mut client, "/", "too late").await.is_err());
        Ok(())
    })
}

#[test]
fn who_says_nothing_is_cut_off_by_the_time_limit() -> Outcome {
    rasyncio::run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (stream, _) = listener.accept().await?;
        let mut builder = server::conn::http1::Builder::new();
        builder
            .timer(Timer)
            .header_read_timeout(Duration::from_millis(20));
        let served = builder.serve_connection(stream, service_fn(echo)).await;
        assert!(served.unwrap_err().is_timeout());
        drop(client);
        Ok(())
    })
}

#[test]
fn cancelling_the_task_of_a_connection_ends_it() -> Outcome {
    rasyncio::run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let client = TcpStream::connect(listener.local_addr()?).await?;
        let (stream, _) = listener.accept().await?;
        let hello = service_fn(|_| async { Ok::<_, Infallible>(Response::new(String::new())) });
        let task = create_task(async move {
            let builder = server::conn::http1::Builder::new();
            builder.serve_connection(stream, hello).await
        });
        yield_now().await?;
        task.cancel();
        assert!(task.await.unwrap_err().cancelled().is_some());
        assert_eq!(client.read(&mut [0; 8]).await?, 0);
        Ok(())
    })
}
