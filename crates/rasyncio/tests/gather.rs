//! What a gathering answers.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::{TaskError, all_tasks, create_task, events, gather, gather_iter, sleep, yield_now};

async fn after<T>(milliseconds: u64, value: T) -> T {
    // Cancelled or not: what the future resolves to does not matter then.
    let _ = sleep(Duration::from_millis(milliseconds)).await;
    value
}

#[rasyncio::test]
async fn outputs_come_in_the_order_of_the_futures_not_of_their_end() {
    let outputs = gather((after(3, 'a'), after(1, "b"), after(2, 3.0))).await;
    assert_eq!(outputs.unwrap(), ('a', "b", 3.0));
}

#[rasyncio::test]
async fn arrays_vectors_and_iterators_can_be_gathered() {
    assert_eq!(gather([after(2, 1), after(1, 2)]).await.unwrap(), [1, 2]);
    assert_eq!(gather(vec![after(2, 1)]).await.unwrap(), vec![1]);
    let outputs = gather_iter((0..4).map(|n| after(n, n))).await.unwrap();
    assert_eq!(outputs, vec![0, 1, 2, 3]);
}

#[rasyncio::test]
async fn the_first_error_ends_it_and_the_others_run_on() {
    let slow = create_task(after(10, ()));
    let slow_any = (*slow).clone();
    let failing = async {
        after(1, ()).await;
        panic!("first");
    };
    let error = gather((slow, failing)).await.unwrap_err();
    assert_eq!(error.panicked().unwrap().message(), "first");
    assert!(!slow_any.done());
    sleep(Duration::from_millis(10)).await.unwrap();
    assert!(slow_any.done() && !slow_any.cancelled());
}

#[rasyncio::test]
async fn a_task_that_is_cancelled_by_others_is_an_error() {
    let task = create_task(after(10, ()));
    let any = (*task).clone();
    let gathering = create_task(gather((task, after(1, ()))));
    yield_now().await.unwrap();
    any.cancel();
    assert!(matches!(
        gathering.await.unwrap(),
        Err(TaskError::Cancelled(_))
    ));
}

#[rasyncio::test]
async fn with_return_exceptions_every_result_is_answered() {
    let failing = async { panic!("oops") };
    let (failed, slow) = gather((failing, after(1, 5)))
        .return_exceptions()
        .await
        .unwrap();
    assert_eq!(failed.unwrap_err().panicked().unwrap().message(), "oops");
    assert_eq!(slow.unwrap(), 5);
}

#[rasyncio::test]
async fn with_return_exceptions_tasks_that_failed_before_are_results_too() {
    let failed = create_task(async { panic!("oops") });
    yield_now().await.unwrap();
    let (failed, slow) = gather((failed, after(1, 5)))
        .return_exceptions()
        .await
        .unwrap();
    assert!(failed.is_err());
    assert_eq!(slow.unwrap(), 5);
}

#[rasyncio::test]
async fn its_tasks_start_even_if_it_is_never_awaited() {
    let gathering = gather((after(1, ()), after(2, ())));
    assert_eq!(all_tasks().len(), 3);
    drop(gathering);
    sleep(Duration::from_millis(5)).await.unwrap();
    assert_eq!(all_tasks().len(), 1);
}

#[rasyncio::test]
async fn with_first_exception_the_first_err_ends_it_and_the_others_run_on() {
    let slow = create_task(after(10, Ok(())));
    let slow_any = (*slow).clone();
    let later = after(3, Err::<u8, _>("later"));
    let gathering = gather((slow, later, after(1, Err::<&str, _>("first"))));
    assert_eq!(gathering.first_exception().await.unwrap(), Err("first"));
    assert!(!slow_any.done());
    sleep(Duration::from_millis(10)).await.unwrap();
    assert!(slow_any.done() && !slow_any.cancelled());
}

#[rasyncio::test]
async fn with_first_exception_values_come_in_order_without_their_results() {
    let values = gather((after(2, Ok::<_, ()>(1)), after(1, Ok("two")))).first_exception();
    assert_eq!(values.await.unwrap(), Ok((1, "two")));
    let values = gather([after(2, Ok::<_, ()>(1)), after(1, Ok(2))]).first_exception();
    assert_eq!(values.await.unwrap(), Ok([1, 2]));
    let values = gather_iter((0..3).map(|n| after(3 - n, Ok::<_, ()>(n)))).first_exception();
    assert_eq!(values.await.unwrap(), Ok(vec![0, 1, 2]));
}

#[rasyncio::test]
async fn with_first_exception_errors_from_before_count() {
    let failed = create_task(async { Err::<(), _>("before") });
    yield_now().await.unwrap();
    let gathering = gather((after(60_000, Ok::<(), _>(())), failed)).first_exception();
    assert_eq!(gathering.await.unwrap(), Err("before"));
}

#[rasyncio::test]
async fn with_first_exception_a_panic_is_still_a_task_error() {
    let failing = async { panic!("oops") };
    let gathering = gather((after(60_000, Ok::<(), ()>(())), failing));
    let error: Result<Result<((), ()), ()>, _> = gathering.first_exception().await;
    assert_eq!(error.unwrap_err().panicked().unwrap().message(), "oops");
}

#[rasyncio::test]
async fn with_first_exception_cancelling_it_cancels_the_tasks() {
    let tasks = [(); 2].map(|()| create_task(after(60_000, Ok::<(), ()>(()))));
    let watched = tasks.each_ref().map(|task| (**task).clone());
    let gathering = create_task(gather(tasks).first_exception());
    yield_now().await.unwrap();
    assert!(gathering.cancel());
    assert!(gathering.await.unwrap_err().cancelled().is_some());
    assert!(watched.iter().all(|task| task.cancelled()));
}

#[rasyncio::test]
async fn with_first_exception_later_errors_are_told_only_of_tasks_that_tell_theirs() {
    let told = Rc::new(RefCell::new(Vec::new()));
    events::set_exception_handler({
        let told = told.clone();
        move |context| told.borrow_mut().push(context.panic.message().to_owned())
    });
    let first = create_task!(after(1, Err::<(), _>("first")));
    let silent = after(2, Err::<(), _>("silent"));
    let later = create_task!(after(3, Err::<(), _>("later")));
    let error = gather((first, silent, later)).first_exception().await;
    assert_eq!(error.unwrap(), Err("first"));
    sleep(Duration::from_millis(5)).await.unwrap();
    assert_eq!(*told.borrow(), ["later"]);
}

mod cancelled_at_any_time {
    //! A gathering of tasks that sleep, fail or refuse to end, cancelled at some moment, against
    //! a model of what has to come of it.

    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use proptest::prelude::*;
    use rasyncio::runners::run_virtual;
    use rasyncio::{TaskError, all_tasks, create_task, current_task, events, gather_iter, sleep};

    #[derive(Clone, Copy, Debug)]
    struct Child {
        /// Never a multiple of ten, as the moment of the cancellation is.
        sleeps: u64,
        panics: bool,
        errs: bool,
        refuses: bool,
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Form {
        Plain,
        FirstException,
        ReturnExceptions,
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum End {
        Outputs,
        Cancelled,
        Err(usize),
        Panicked(usize),
    }

    fn children() -> impl Strategy<Value = Vec<Child>> {
        let child = (
            0..10_u64,
            1..10_u64,
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.2),
            any::<bool>(),
        );
        let child = child.prop_map(|(tens, ones, panics, errs, refuses)| Child {
            sleeps: tens * 10 + ones,
            panics,
            errs,
            refuses,
        });
        prop::collection::vec(child, 1..8)
    }

    fn form() -> impl Strategy<Value = Form> {
        prop_oneof![
            Just(Form::Plain),
            Just(Form::FirstException),
            Just(Form::ReturnExceptions),
        ]
    }

    /// Asyncio's documentation, as a function.
    fn model(children: &[Child], cancel_at: u64, form: Form) -> End {
        let fails = |child: &Child| match form {
            Form::Plain => child.panics,
            Form::FirstException => child.panics || child.errs,
            Form::ReturnExceptions => false,
        };
        let first = (0..children.len())
            .filter(|&which| fails(&children[which]))
            .min_by_key(|&which| children[which].sleeps);
        if let Some(which) = first
            && children[which].sleeps < cancel_at
        {
            return if children[which].panics {
                End::Panicked(which)
            } else {
                End::Err(which)
            };
        }
        if children.iter().all(|child| child.sleeps < cancel_at) {
            return End::Outputs;
        }
        End::Cancelled
    }

    fn outcome(children: Vec<Child>, cancel_at: u64, form: Form) -> (End, Vec<bool>) {
        let ended = Rc::new(RefCell::new(vec![false; children.len()]));
        let futures: Vec<_> = children
            .into_iter()
            .enumerate()
            .map(|(which, child)| {
                let ended = ended.clone();
                async move {
                    let slept = sleep(Duration::from_millis(child.sleeps)).await;
                    ended.borrow_mut()[which] = true;
                    match slept {
                        Ok(()) if child.panics => std::panic::panic_any(which),
                        Err(_) if child.refuses => {
                            current_task().unwrap().uncancel();
                        }
                        Ok(()) if child.errs => return Err(which),
                        _ => {}
                    }
                    Ok(which)
                }
            })
            .collect();
        let end = run_virtual(async {
            // Of several panics the gathering answers one; the others are known.
            events::set_exception_handler(|_| {});
            let count = futures.len();
            let task = create_task(async move {
                let group = gather_iter(futures);
                match form {
                    Form::Plain => group.await.map(|outputs| Ok(outputs.len())),
                    Form::FirstException => {
                        let ended = group.first_exception().await;
                        ended.map(|outputs| outputs.map(|outputs| outputs.len()))
                    }
                    Form::ReturnExceptions => {
                        let results = group.return_exceptions().await;
                        let results = results.map_err(TaskError::from);
                        results.map(|results| Ok(results.len()))
                    }
                }
            });
            sleep(Duration::from_millis(cancel_at)).await.unwrap();
            task.cancel();
            let end = match task.await {
                Ok(Ok(Err(which))) => End::Err(which),
                Ok(Ok(Ok(outputs))) => {
                    assert_eq!(outputs, count);
                    End::Outputs
                }
                Ok(Err(TaskError::Panicked(panic))) => {
                    End::Panicked(*panic.into_payload().downcast().unwrap())
                }
                Ok(Err(TaskError::Cancelled(_))) | Err(_) => End::Cancelled,
            };
            sleep(Duration::from_millis(200)).await.unwrap();
            assert_eq!(all_tasks().len(), 1, "no task may be left");
            end
        });
        (end, ended.take())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

        #[test]
        fn it_ends_as_asyncio_says(children in children(), tens in 0..11_u64, form in form()) {
            std::panic::set_hook(Box::new(|info| {
                if info.payload().downcast_ref::<usize>().is_none() {
                    eprintln!("{info}");
                }
            }));
            let cancel_at = tens * 10 + 10;
            let (end, ended) = outcome(children.clone(), cancel_at, form);
            prop_assert_eq!(end, model(&children, cancel_at, form));
            prop_assert!(ended.iter().all(|&ended| ended), "a task never ended: {:?}", ended);
        }
    }
}
