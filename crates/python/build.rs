//! Gives the crate the `Py_3_12`-like cfg flags of the interpreter it is built for.

use pyo3_build_config::{BuildFlag, InterpreterConfig};

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    println!("cargo::rustc-check-cfg=cfg(counts_by_halves)");
    if counts_by_halves(pyo3_build_config::get()) {
        println!("cargo::rustc-cfg=counts_by_halves");
    }
}

/// Whether `Py_INCREF` writes half of what `Py_DECREF` reads (`src/object/counts.rs`).
fn counts_by_halves(interpreter: &InterpreterConfig) -> bool {
    let version = (interpreter.version().major, interpreter.version().minor);
    let differs = |flag| interpreter.build_flags().0.contains(&flag);
    matches!(version, (3, 12 | 13))
        && interpreter.pointer_width() == Some(64)
        && !differs(BuildFlag::Py_GIL_DISABLED)
        && !differs(BuildFlag::Py_REF_DEBUG)
}
