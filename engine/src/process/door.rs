//! Any system call, for tests of what a confined process can do. No release has this.

use std::{ffi::CString, io};

use serde::{Deserialize, Serialize};

/// A system call.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Call {
    /// Its number on this architecture.
    pub number: i64,
    /// Up to six arguments.
    pub arguments: Vec<Argument>,
}

/// An argument of a system call.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Argument {
    /// A number.
    Number(u64),
    /// The address of a text with a zero byte at its end.
    Text(String),
    /// The address of so many bytes, all zero.
    Zeros(usize),
}

/// Makes a system call. Answers 0 or more where it succeeds, and else the negative error number.
pub fn call(call: &Call) -> i64 {
    let mut texts = Vec::new();
    let mut memory = Vec::new();
    let mut values = [0_u64; 6];
    for (value, argument) in values.iter_mut().zip(&call.arguments) {
        *value = match argument {
            Argument::Number(number) => *number,
            Argument::Text(text) => {
                let text = CString::new(text.as_str()).unwrap_or_default();
                let address = text.as_ptr() as u64;
                texts.push(text);
                address
            }
            Argument::Zeros(bytes) => {
                let mut zeros = vec![0_u8; *bytes].into_boxed_slice();
                let address = zeros.as_mut_ptr() as u64;
                memory.push(zeros);
                address
            }
        };
    }
    let [v0, v1, v2, v3, v4, v5] = values;
    // SAFETY: there is none in general: this makes any call that a test names. The texts and the
    // memory that the arguments point to live until it returns.
    let answer = unsafe { libc::syscall(call.number, v0, v1, v2, v3, v4, v5) };
    if answer >= 0 {
        return answer;
    }
    -i64::from(io::Error::last_os_error().raw_os_error().unwrap_or(1))
}
