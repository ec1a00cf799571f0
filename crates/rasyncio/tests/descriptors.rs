//! Callbacks for descriptors.

mod common;

use std::fs::File;
use std::io::{self, Read, Write};
use std::rc::Rc;

use common::{Dropped, Log};
use rasyncio::{ContextVar, Event, events, yield_now};

/// A pipe, and an event that is set whenever there is something to read.
fn watched() -> (Rc<io::PipeReader>, io::PipeWriter, Rc<Event>) {
    let (reader, writer) = io::pipe().unwrap();
    let (reader, arrived) = (Rc::new(reader), Rc::new(Event::new()));
    let event = arrived.clone();
    events::add_reader(&reader, move || event.set()).unwrap();
    (reader, writer, arrived)
}

fn read(reader: &io::PipeReader, count: usize) {
    let mut reader = reader;
    reader.read_exact(&mut vec![0; count]).unwrap();
}

#[rasyncio::test(clock = "real")]
async fn one_is_called_as_long_as_there_is_something_to_read() {
    let (reader, mut writer, arrived) = watched();
    writer.write_all(b"ab").unwrap();
    for _ in 0..2 {
        arrived.clear();
        arrived.wait().await.unwrap();
        read(&reader, 1);
    }
    assert!(events::remove_reader(&reader));
    arrived.clear();
    writer.write_all(b"c").unwrap();
    for _ in 0..200 {
        yield_now().await.unwrap();
    }
    assert!(!arrived.is_set());
}

#[rasyncio::test(clock = "real")]
async fn another_takes_the_place_of_the_one_before() {
    let log = Log::default();
    let (reader, mut writer, arrived) = watched();
    let guard = Dropped(log.clone(), "first");
    events::add_reader(&reader, move || {
        let _ = &guard;
    })
    .unwrap();
    let event = arrived.clone();
    events::add_reader(&reader, move || event.set()).unwrap();
    assert_eq!(log.take(), ["first"]);
    writer.write_all(b"a").unwrap();
    arrived.wait().await.unwrap();
    assert!(events::remove_reader(&reader));
    assert!(!events::remove_reader(&reader));
}

#[rasyncio::test(clock = "real")]
async fn one_for_writing_is_called_at_once_and_may_take_itself_back() {
    let log = Log::default();
    let (_reader, writer) = io::pipe().unwrap();
    let (writer, ready) = (Rc::new(writer), Rc::new(Event::new()));
    let guard = Dropped(log.clone(), "dropped");
    events::add_writer(&writer, {
        let (writer, ready) = (writer.clone(), ready.clone());
        move || {
            assert!(events::remove_writer(&writer));
            guard.0.note("called");
            ready.set();
        }
    })
    .unwrap();
    ready.wait().await.unwrap();
    assert_eq!(log.take(), ["called", "dropped"]);
    assert!(!events::remove_writer(&writer));
}

#[rasyncio::test(clock = "real")]
async fn a_panic_in_one_is_reported_and_it_is_called_again() {
    let log = Log::default();
    let (reader, mut writer) = io::pipe().unwrap();
    let (reader, over) = (Rc::new(reader), Rc::new(Event::new()));
    events::set_exception_handler({
        let (log, over) = (log.clone(), over.clone());
        move |context| {
            log.note(context.to_string());
            over.set();
        }
    });
    events::add_reader(&reader, || panic!("oops")).unwrap();
    writer.write_all(b"a").unwrap();
    for _ in 0..2 {
        over.clear();
        over.wait().await.unwrap();
        let reports = log.take();
        assert!(!reports.is_empty());
        assert!(
            reports
                .iter()
                .all(|it| it == "Panic in a callback: panicked: oops")
        );
    }
    assert!(events::remove_reader(&reader));
}

#[rasyncio::test(clock = "real")]
async fn one_runs_in_the_context_in_which_it_was_added() {
    static USER: ContextVar<&str> = ContextVar::new("user");
    let log = Log::default();
    let (reader, mut writer, arrived) = watched();
    let token = USER.set("Ada");
    events::add_reader(&reader, {
        let (log, arrived) = (log.clone(), arrived.clone());
        move || {
            log.note(USER.get().unwrap_or("nobody"));
            arrived.set();
        }
    })
    .unwrap();
    USER.reset(token).unwrap();
    writer.write_all(b"a").unwrap();
    arrived.wait().await.unwrap();
    assert!(events::remove_reader(&reader));
    assert_eq!(log.take()[0], "Ada");
}

#[rasyncio::test(clock = "real")]
async fn a_regular_file_is_refused() {
    let file = File::open("/proc/self/exe").unwrap();
    assert!(events::add_reader(&file, || ()).is_err());
    assert!(!events::remove_reader(&file));
}
