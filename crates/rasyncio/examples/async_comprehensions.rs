//! What Python's asynchronous comprehensions do, done by loops over a `Stream`.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::{Pin, pin};

use futures_util::{Stream, StreamExt, stream};
use rasyncio::yield_now;

fn letters(text: &str) -> impl Stream<Item = char> {
    stream::iter(text.chars()).then(|letter| async move {
        yield_now().await.expect("nobody cancels it");
        letter
    })
}

async fn is_vowel(letter: char) -> bool {
    yield_now().await.expect("nobody cancels it");
    "aeiou".contains(letter)
}

fn vowels(text: &str) -> impl Stream<Item = String> {
    letters(text)
        .filter_map(|letter| async move { is_vowel(letter).await.then(|| letter.to_string()) })
}

#[rasyncio::main]
async fn main() {
    let word = "asynchronous";
    let list: Vec<String> = letters("loop").map(String::from).collect().await;
    println!("list:      {list:?}");
    let set: BTreeSet<String> = letters(word).map(String::from).collect().await;
    println!("set:       {:?}", set.iter().collect::<Vec<_>>());
    let pairs: BTreeMap<String, u32> = letters("io")
        .map(|letter| (letter.to_string(), u32::from(letter)))
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect();
    println!("dict:      {pairs:?}");
    println!("filtered:  {:?}", vowels(word).collect::<Vec<_>>().await);
    let mut awaited = Vec::new();
    for letter in "hey".chars() {
        awaited.push(is_vowel(letter).await);
    }
    println!("awaited:   {awaited:?}");

    let mut some = pin!(vowels(word));
    let first = poll_fn(|cx| Pin::as_mut(&mut some).poll_next(cx)).await;
    let rest: Vec<_> = some.collect().await;
    println!("generator: {} {rest:?}", first.unwrap_or_default());
    let mut nested = Vec::new();
    let mut lows = pin!(letters("ab"));
    while let Some(low) = lows.next().await {
        let row: Vec<_> = letters("XY").map(|up| format!("{low}{up}")).collect().await;
        nested.push(row);
    }
    println!("nested:    {nested:?}");
}
