//! `avocet serve` and `avocet token`: the job API.

use std::{env, io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode};

use avocet_service::{Config, LogFormat, Started};
use clap::ArgMatches;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{
    arguments::{ALLOW_PRIVATE, CONFIG, DATA, LISTEN, NAME},
    failure::Failure,
    terminal, worker,
};

/// The configuration: flags override the environment, which overrides the file.
fn config(matches: &ArgMatches) -> Result<Config, Failure> {
    let file = matches.get_one::<PathBuf>(CONFIG);
    let variables = env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    let mut config = Config::read(file.map(PathBuf::as_path), variables)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    if let Some(data) = matches.get_one::<PathBuf>(DATA) {
        config.data.clone_from(data);
    }
    if let Ok(Some(listen)) = matches.try_get_one::<SocketAddr>(LISTEN) {
        config.listen = *listen;
    }
    if matches!(matches.try_get_one::<bool>(ALLOW_PRIVATE), Ok(Some(true))) {
        config.allow_private_network = true;
    }
    Ok(config)
}

/// Runs the commands of the service, which have settings and signal handlers of their own. `None`
/// for all other commands.
pub(super) fn as_service(matches: &ArgMatches) -> Option<ExitCode> {
    let (name, matches) = matches.subcommand()?;
    let status = match name {
        "serve" => serve(matches).map(|()| ExitCode::SUCCESS),
        "token" => create_token(matches.subcommand()?.1).map(|key| terminal::print(&key, 0)),
        "worker" => Ok(worker::run()),
        _ => return None,
    };
    Some(status.unwrap_or_else(|failure| failure.tell(false)))
}

/// `avocet serve`
fn serve(matches: &ArgMatches) -> Result<(), Failure> {
    let config = config(matches)?;
    log(config.log);
    let program = env::current_exe()
        .map_err(|error| Failure::Usage(format!("the path of this program is unknown: {error}")))?;
    let runtime = runtime()?;
    let ended = async {
        tokio::select! {
            () = heard(SignalKind::interrupt()) => {}
            () = heard(SignalKind::terminate()) => {}
        }
    };
    let served = runtime.block_on(avocet_service::serve(config, program, tell, ended));
    // Do not wait for calls to stores or webhook receivers that do not answer.
    runtime.shutdown_background();
    served.map_err(Failure::Serve)
}

/// Writes the log to standard error. `RUST_LOG` filters it; the default level is info.
fn log(format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let log = tracing_subscriber::fmt().with_env_filter(filter.from_env_lossy());
    let log = log.with_writer(std::io::stderr);
    // If a logger is already installed, it stays.
    let _ = match format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}

/// Waits for a signal; forever if no handler can be installed.
async fn heard(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

/// Prints the address, the first API key and an example request.
fn tell(started: &Started) {
    let base = &started.public_url;
    terminal::note(&format!(
        "Avocet listens on {}; the API is described at {base}/docs",
        started.address
    ));
    let key = match &started.key {
        Some(key) => {
            terminal::note(&format!(
                "the API key, shown once and stored in the data folder as `api-key`: {key}"
            ));
            key.as_str()
        }
        None => "$AVOCET_KEY",
    };
    terminal::note(&format!(
        "curl {base}/v1/jobs -H \"Authorization: Bearer {key}\" -H 'Content-Type: application/json' \
         -d '{{\"mode\":\"recipe\",\"input\":{{\"url\":\"https://host/video.mp4\"}},\"output\":\
         {{\"format\":\"jpg\"}},\"recipe\":{{\"name\":\"thumbnail\",\"seekSeconds\":1}}}}'"
    ));
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.map_err(|error| {
        Failure::Usage(format!("can not start the threads of the service: {error}"))
    })
}

/// `avocet token create`
fn create_token(matches: &ArgMatches) -> Result<String, Failure> {
    let config = config(matches)?;
    let name = matches.get_one::<String>(NAME).map_or("made by hand", String::as_str);
    runtime()?
        .block_on(avocet_service::create_token(&config.data, name))
        .map_err(|error| Failure::Usage(error.to_string()))
}
