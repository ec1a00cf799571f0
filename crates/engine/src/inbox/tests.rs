//! What goes in comes out, once, and who sleeps is woken. What threads do at the same time is in `loom_model`.

use super::*;

#[test]
fn values_come_out_in_the_order_they_went_in() {
    let inbox = Inbox::new();
    for value in 0..5 {
        assert_eq!(inbox.push(value), Ok(Wake::NotNeeded));
    }
    assert!(inbox.has_values());
    assert_eq!(Vec::from_iter(inbox.take()), [0, 1, 2, 3, 4]);
    assert!(!inbox.has_values());
}

#[test]
fn only_the_first_of_many_wakes_the_sleeper() {
    let inbox = Inbox::new();
    assert!(inbox.fall_asleep());
    assert_eq!(inbox.push(1), Ok(Wake::Needed));
    assert_eq!(inbox.push(2), Ok(Wake::NotNeeded));
    assert_eq!(inbox.wake(), Wake::NotNeeded);
    assert_eq!(Vec::from_iter(inbox.wake_up()), [1, 2]);
}

#[test]
fn a_wake_without_a_value_forbids_the_next_sleep() {
    let inbox = Inbox::<()>::new();
    assert_eq!(inbox.wake(), Wake::NotNeeded);
    assert_eq!(inbox.take().count(), 0);
    assert!(!inbox.fall_asleep());
    assert_eq!(inbox.wake_up().count(), 0);
    assert!(inbox.fall_asleep());
    assert_eq!(inbox.wake(), Wake::Needed);
}

#[test]
fn a_closed_inbox_gives_values_back_for_ever() {
    let inbox = Inbox::new();
    assert!(inbox.push(1).is_ok());
    assert_eq!(Vec::from_iter(inbox.close()), [1]);
    assert_eq!(inbox.push(2), Err(2));
    assert_eq!(inbox.wake(), Wake::NotNeeded);
    assert_eq!(inbox.take().count(), 0);
    assert_eq!(inbox.push(3), Err(3));
    assert!(!inbox.fall_asleep());
}

#[test]
fn a_node_serves_again() {
    let inbox = Inbox::new();
    let node = |inbox: &Inbox<i32>| inbox.state.load(Ordering::Relaxed);
    assert!(inbox.push(1).is_ok());
    let first = node(&inbox);
    assert_eq!(Vec::from_iter(inbox.take()), [1]);
    assert!(inbox.push(2).is_ok());
    assert_eq!(node(&inbox), first);
    assert!(inbox.push(3).is_ok());
    assert_ne!(node(&inbox), first);
    assert_eq!(Vec::from_iter(inbox.take()), [2, 3]);
}

#[test]
fn what_nobody_took_is_dropped() {
    let value = std::rc::Rc::new(());
    let inbox = Inbox::new();
    assert!(inbox.push(value.clone()).is_ok());
    assert!(inbox.push(value.clone()).is_ok());
    let mut taken = inbox.take();
    drop(taken.next());
    drop(taken);
    assert!(inbox.push(value.clone()).is_ok());
    drop(inbox);
    assert_eq!(std::rc::Rc::strong_count(&value), 1);
}
