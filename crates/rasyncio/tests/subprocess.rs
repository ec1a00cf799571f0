//! Child processes.

#[path = "common/net.rs"]
mod net;

use std::process::Stdio;
use std::time::Duration;

use net::{Outcome, Random, alone, descriptors};
use rasyncio::subprocess::{Command, create_subprocess_exec, create_subprocess_shell};
use rasyncio::{create_task, gather_iter, run, sleep, yield_now};

fn piped() -> [Stdio; 3] {
    [Stdio::piped(), Stdio::piped(), Stdio::piped()]
}

#[test]
fn what_goes_in_comes_out() -> Outcome {
    let _alone = alone();
    run(async {
        let data = Random(7).bytes(3_000_000);
        let mut cat = create_subprocess_exec("cat", ["-"], piped())?;
        let (output, errors) = cat.communicate(&data).await?;
        assert_eq!(output.unwrap(), data);
        assert_eq!(errors.unwrap(), b"");
        assert_eq!(cat.returncode(), Some(0));
        assert!(cat.kill().is_err(), "it has ended");
        Ok(())
    })
}

#[test]
fn both_outputs_are_read_at_once() -> Outcome {
    let _alone = alone();
    run(async {
        let line = "head -c 500000 /dev/zero >&2; head -c 500000 /dev/zero; exit 3";
        let mut shell = create_subprocess_shell(line, piped())?;
        let (output, errors) = shell.communicate(b"").await?;
        assert_eq!(
            (output.unwrap().len(), errors.unwrap().len()),
            (500_000, 500_000)
        );
        assert_eq!(shell.returncode(), Some(3));
        Ok(())
    })
}

#[test]
fn lines_to_and_fro() -> Outcome {
    let _alone = alone();
    run(async {
        let mut cat = create_subprocess_exec("cat", [""; 0], piped())?;
        let (stdin, mut stdout) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
        for line in [&b"one\n"[..], b"two\n"] {
            stdin.write(line)?;
            assert_eq!(stdout.readline().await?, line);
        }
        assert_eq!(cat.returncode(), None);
        drop(stdin);
        assert_eq!(stdout.readline().await?, b"");
        assert!(cat.wait().await?.success());
        Ok(())
    })
}

#[test]
fn signals_end_it_and_show() -> Outcome {
    let _alone = alone();
    run(async {
        let sleeper = || Command::new("sleep").arg("600").spawn();
        let process = sleeper()?;
        process.terminate()?;
        process.wait().await?;
        assert_eq!(process.returncode(), Some(-15));
        let process = sleeper()?;
        process.kill()?;
        process.wait().await?;
        assert_eq!(process.returncode(), Some(-9));
        assert!(process.send_signal(-1).is_err());
        assert!(process.send_signal(0).is_err(), "it has ended");
        Ok(())
    })
}

#[test]
fn any_signal_can_be_sent() -> Outcome {
    let _alone = alone();
    run(async {
        let process = Command::new("sleep").arg("600").spawn()?;
        process.send_signal(0)?;
        for wrong in [-1, 32, 33, 65, 1000] {
            let error = process.send_signal(wrong).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{wrong}");
        }
        assert_eq!(process.returncode(), None);
        // The last real-time one.
        process.send_signal(64)?;
        process.wait().await?;
        assert_eq!(process.returncode(), Some(-64));
        Ok(())
    })
}

#[test]
fn several_wait_for_one_end() -> Outcome {
    let _alone = alone();
    run(async {
        let mut process = create_subprocess_shell("read line; exit 3", piped())?;
        drop(process.stdin.take());
        let process = std::rc::Rc::new(process);
        let waits = (0..5).map(|_| {
            let process = process.clone();
            async move { process.wait().await }
        });
        for status in gather_iter(waits).await? {
            assert_eq!(status?.code(), Some(3));
        }
        assert_eq!(process.wait().await?.code(), Some(3), "and afterwards");
        Ok(())
    })
}

#[test]
fn dropping_it_kills_it_if_asked_for() -> Outcome {
    let _alone = alone();
    run(async {
        let sleeper = || Command::new("sleep").arg("600");
        drop(sleeper().kill_on_drop(true).spawn()?);
        while has_children() {
            sleep(Duration::from_millis(2)).await?;
        }
        let process = sleeper().spawn()?;
        let pid = process.pid();
        drop(process);
        sleep(Duration::from_millis(20)).await?;
        assert!(has_children(), "it runs on");
        Command::new("kill")
            .arg(pid.to_string())
            .spawn()?
            .wait()
            .await?;
        while has_children() {
            sleep(Duration::from_millis(2)).await?;
        }
        Ok(())
    })
}

#[test]
fn its_environment_and_its_place() -> Outcome {
    let _alone = alone();
    run(async {
        let command = Command::new("/bin/sh")
            .args(["-c", "echo $ONE$TWO$HOME; pwd"])
            .env("ONE", "1")
            .envs([("TWO", "2"), ("HOME", "gone")])
            .env_remove("HOME")
            .process_group(0)
            .current_dir("/");
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let (output, _) = process.communicate(b"").await?;
        assert_eq!(output.unwrap(), b"12\n/\n");
        Ok(())
    })
}

#[test]
fn a_child_that_does_not_read_is_no_error() -> Outcome {
    let _alone = alone();
    run(async {
        let mut process = create_subprocess_shell("exit 7", piped())?;
        process.communicate(&vec![0; 1_000_000]).await?;
        assert_eq!(process.returncode(), Some(7));
        Ok(())
    })
}

#[test]
fn a_program_that_is_not_there() -> Outcome {
    let _alone = alone();
    run(async {
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        Ok(())
    })
}

#[test]
fn cancelling_communicate_keeps_what_has_come() -> Outcome {
    let _alone = alone();
    run(async {
        let process = create_subprocess_shell("echo early; sleep 600", piped())?;
        let process = std::rc::Rc::new(std::cell::RefCell::new(Some(process)));
        let task = create_task({
            let process = process.clone();
            async move {
                let mut mine = process.borrow_mut().take().unwrap();
                let result = mine.communicate(b"").await;
                *process.borrow_mut() = Some(mine);
                result
            }
        });
        sleep(Duration::from_millis(100)).await?;
        task.cancel();
        assert!(task.await.is_err());
        let mut process = process.borrow_mut().take().unwrap();
        assert_eq!(
            process.stdout.as_mut().unwrap().readline().await?,
            b"early\n"
        );
        process.kill()?;
        process.wait().await?;
        Ok(())
    })
}

#[test]
fn hundreds_leave_no_descriptor_and_no_zombie() -> Outcome {
    let _alone = alone();
    let before = descriptors();
    run(async {
        for _ in 0..20 {
            let many = (0..15).map(|number: u32| async move {
                let line = format!("cat; exit {number}");
                let mut process = create_subprocess_shell(line, piped())?;
                if number == 0 {
                    // Dropped while it runs: its input ends.
                    return Ok(());
                }
                let (output, _) = process.communicate(b"x").await?;
                assert_eq!(output.unwrap(), b"x");
                assert_eq!(process.returncode(), Some(number as i32));
                Ok::<_, std::io::Error>(())
            });
            for result in gather_iter(many).await? {
                result?;
            }
        }
        for _ in 0..1000 {
            if !has_children() {
                return Ok(());
            }
            sleep(Duration::from_millis(2)).await?;
            yield_now().await?;
        }
        Err::<_, Box<dyn std::error::Error>>("there are children left".into())
    })?;
    assert_eq!(descriptors(), before);
    Ok(())
}

fn has_children() -> bool {
    std::fs::read_dir("/proc/self/task").unwrap().any(|task| {
        let children = task.unwrap().path().join("children");
        std::fs::read_to_string(children).is_ok_and(|children| !children.trim().is_empty())
    })
}
