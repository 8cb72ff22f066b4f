//! The codes of all errors, and what each means: the one list behind the reference.

/// A code of an error, as the program and the job API answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// For machines, as `INPUT_INVALID`; kept for good once released.
    pub code: &'static str,
    /// Number of the HTTP status; `None` for errors that only jobs end with.
    pub status: Option<u16>,
    /// Whether the same may succeed when it is simply tried again; `None` where that depends on the
    /// cause, and the error says it.
    pub retryable: Option<bool>,
    /// When it is answered, in one sentence.
    pub when: &'static str,
    /// What to do about it, in one sentence.
    pub remedy: &'static str,
}

const fn answer(
    code: &'static str,
    status: u16,
    retryable: bool,
    when: &'static str,
    remedy: &'static str,
) -> ErrorCode {
    ErrorCode { code, status: Some(status), retryable: Some(retryable), when, remedy }
}

const fn job(
    code: &'static str,
    retryable: Option<bool>,
    when: &'static str,
    remedy: &'static str,
) -> ErrorCode {
    ErrorCode { code, status: None, retryable, when, remedy }
}

/// The entry of a code; `None` for one that is not listed.
pub fn error_code(code: &str) -> Option<&'static ErrorCode> {
    ERRORS.iter().flat_map(|(_, codes)| *codes).find(|listed| listed.code == code)
}

/// A heading, and the codes under it.
pub type ErrorGroup = (&'static str, &'static [ErrorCode]);

/// Every code that the engine, a document, the program or the service answers with.
pub const ERRORS: &[ErrorGroup] = &[("Requests", REQUESTS), ("Jobs", JOBS)];

const REQUESTS: &[ErrorCode] = &[
    answer(
        "CONFLICT",
        409,
        false,
        "The state of the job does not allow that, or the idempotency key was used with another \
         body.",
        "Look at the job's state, or send another `Idempotency-Key`.",
    ),
    answer(
        "ENGINE_ERROR",
        500,
        false,
        "Avocet has a bug; jobs may end with this code, too.",
        "Report it with the message and the log.",
    ),
    answer(
        "FORBIDDEN",
        403,
        false,
        "The signature does not match the URL.",
        "Use the URL as it was handed out, or get the job again, which signs a new one.",
    ),
    answer(
        "GONE",
        410,
        false,
        "The signed URL has expired, or the output was deleted.",
        "Get the job again for a new URL; submit its document again for a deleted output.",
    ),
    answer(
        "METHOD_NOT_ALLOWED",
        405,
        false,
        "The path exists, but does not allow this method.",
        "Look the path up at `/docs`.",
    ),
    answer(
        "NOT_FOUND",
        404,
        false,
        "There is no such path, job, file, preset, token or provider.",
        "Check the path and the id.",
    ),
    answer(
        "PAYLOAD_TOO_LARGE",
        413,
        false,
        "The body is longer than `mostBodyBytes`.",
        "Send a shorter document, or raise the setting.",
    ),
    answer(
        "RANGE_NOT_SATISFIABLE",
        416,
        false,
        "The `Range` asks for bytes past the end of the output.",
        "Ask for a range within the length that `Content-Range` tells.",
    ),
    answer(
        "RATE_LIMITED",
        429,
        true,
        "The key made more than `requestsPerMinute` requests.",
        "Wait for the seconds of `Retry-After`.",
    ),
    answer(
        "UNAUTHORIZED",
        401,
        false,
        "The API key is missing, unknown or revoked.",
        "Send a key as `Authorization: Bearer` or `X-API-KEY`.",
    ),
    answer(
        "UNAVAILABLE",
        503,
        true,
        "The service shuts down, is busy, has no room on its disk, or can not reach a provider.",
        "Wait for the seconds of `Retry-After`; the message says what the operator can do.",
    ),
    answer(
        "UNSUPPORTED_MEDIA_TYPE",
        415,
        false,
        "The body is not declared as JSON.",
        "Send `Content-Type: application/json`.",
    ),
    answer(
        "VALIDATION_ERROR",
        400,
        false,
        "The document, the arguments, the settings or the request are wrong; an output is an input, \
         or exists and may not be replaced.",
        "Correct what `problems` or the message names.",
    ),
];

const JOBS: &[ErrorCode] = &[
    job("CANCELLED", Some(false), "The caller cancelled the job.", "Run it again if it is wanted."),
    job(
        "CONFIG_ERROR",
        Some(false),
        "An encoder, filter, option, device, program or part of the sandbox is absent; this libav \
         can not decode the picture correctly, as one made of tiles; or the service can not be \
         started here, as when its address is in use.",
        "Install or configure what the message names; `avocet capabilities` lists what there is.",
    ),
    job(
        "ENGINE_INVOCATION_ERROR",
        Some(true),
        "A worker crashed or stalled twice, or the time limit passed.",
        "Try again; raise `mostJobSeconds` for long jobs, and report inputs that crash a worker.",
    ),
    job(
        "ENGINE_INVOKE_FAILED",
        Some(true),
        "A worker could not be started.",
        "Look for missing memory, processes or files on the machine of the service.",
    ),
    job(
        "INPUT_INVALID",
        Some(false),
        "The input is not media that libav knows, is damaged or cut short, lacks the stream that \
         the job needs, or changes mid-stream so that it can be neither copied nor encoded here.",
        "Check the input with `avocet probe`; `lenient` accepts damage, with a warning.",
    ),
    job(
        "INPUT_UNREACHABLE",
        None,
        "The input can not be read: the network, the status of its server, a missing file or \
         rights.",
        "Check that the URL or the path can be read from the machine that runs the job.",
    ),
    job(
        "LIMIT_EXCEEDED",
        Some(false),
        "Size, duration, pixels, memory, threads or space exceed a limit of the settings or the \
         system.",
        "Use a smaller input, or raise the limit that the message names.",
    ),
    job(
        "LOCATION_REFUSED",
        Some(false),
        "The scheme or the address of an input or output is not allowed.",
        "Use `https:` and a public address; `allowPrivateNetwork` allows others.",
    ),
    job(
        "OUTPUT_INCOMPLETE",
        Some(false),
        "The written output was read back, and is not what was planned.",
        "Report it with the plan; nothing was put in the output's place.",
    ),
    job(
        "STORAGE_ERROR",
        None,
        "An output can not be written or sent: the disk, the store, rights or credentials.",
        "Check the space and the rights of the folder, or test the storage provider.",
    ),
    job(
        "TRANSCODE_ERROR",
        Some(false),
        "libav or the ffmpeg program failed in the middle of the work.",
        "Read the message, and in ffmpeg mode `log`, the end of what the program wrote.",
    ),
    job(
        "UNSUPPORTED_COMMAND",
        Some(false),
        "An argument for the ffmpeg program is not on the list of allowed ones.",
        "Change the argument that the message names; the reference of arguments lists what is \
         allowed.",
    ),
];
