//! `gather` and errors.
//!
//! What a future resolves to is its output, be it an error: a gathering answers all outputs, and
//! fails by a panic or a cancellation only. With `first_exception` it ends with the first error.

use rasyncio::{create_task, gather, wait, yield_now};

type Factorial = Result<i64, String>;

async fn factorial(name: &'static str, number: Result<i64, &'static str>) -> Factorial {
    let number = number.map_err(|_| {
        r#"TypeError("'<' not supported between instances of 'str' and 'int'")"#.to_owned()
    })?;
    if number < 0 {
        return Err(format!("{name}: no factorial of {number}"));
    }
    let mut result = 1;
    for factor in 2..=number {
        println!("  {name}: times {factor}");
        yield_now()
            .await
            .map_err(|cancelled| cancelled.to_string())?;
        result *= factor;
    }
    println!("  {name}: {number}! = {result}");
    Ok(result)
}

async fn first_error() -> Result<(), Box<dyn std::error::Error>> {
    println!("the first error is raised:");
    let tasks = [("A", Ok(3)), ("B", Ok(4)), ("C", Ok(-1))];
    let tasks = tasks.map(|(name, number)| create_task(factorial(name, number)));
    let others = [0, 1].map(|which: usize| (*tasks[which]).clone());
    if let Err(error) = gather(tasks).first_exception().await? {
        println!("  raised: {error}");
    }
    let state = |done| if done { "done" } else { "still running" };
    println!(
        "  the others are {:?}",
        others.each_ref().map(|task| state(task.done()))
    );
    wait(&others).await?;
    Ok(())
}

async fn as_results() -> Result<(), Box<dyn std::error::Error>> {
    println!("errors as results:");
    let results = gather([
        factorial("A", Ok(3)),
        factorial("B", Ok(-2)),
        factorial("C", Err("four")),
        factorial("D", Ok(2)),
    ])
    .await?;
    for result in results {
        match result {
            Ok(number) => println!("  result: {number}"),
            Err(error) if error.starts_with("TypeError") => println!("  result: {error}"),
            Err(error) => println!("  result: ValueError('{error}')"),
        }
    }
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    first_error().await?;
    as_results().await
}
