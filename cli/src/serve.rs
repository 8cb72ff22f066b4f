//! `avocet serve`, and what its operator does beside it: keys, projects and backups.

use std::{env, io::IsTerminal, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use avocet_service::{Admin, AdminError, Config, KeyKind, LogFormat, NewKey, SAMPLE, Started};
use clap::ArgMatches;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::{
    arguments::{
        ALLOW_PRIVATE, CHECK, CONFIG, DATA, EXPIRES_DAYS, FOLDER, ID, KIND, LISTEN, NAME, OPEN,
        PROJECT, SCOPE,
    },
    failure::Failure,
    health, terminal, worker,
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
        "token" | "project" => {
            let (act, matches) = matches.subcommand()?;
            administer(name, act, matches).map(|lines| terminal::print(&lines.join("\n"), 0))
        }
        "keys" => rotate(matches.subcommand()?.1).map(|id| terminal::print(&id, 0)),
        "backup" | "restore" => keep(name, matches),
        "health" => health(matches),
        "worker" => Ok(worker::run()),
        _ => return None,
    };
    Some(status.unwrap_or_else(|failure| failure.tell(false, false)))
}

/// `avocet serve`
fn serve(matches: &ArgMatches) -> Result<(), Failure> {
    let config = config(matches)?;
    log(config.log);
    let program = env::current_exe()
        .map_err(|error| Failure::Usage(format!("the path of this program is unknown: {error}")))?;
    let runtime = runtime()?;
    // The second signal ends the wait for jobs that run.
    let opens = matches.get_flag(OPEN);
    let tell = |started: &Started| tell(started, opens);
    let served = avocet_service::serve(config, program, tell, signalled(), signalled());
    let served = runtime.block_on(served);
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

/// Waits for the next signal to end; forever if no handler can be installed.
async fn signalled() {
    let installed = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = installed else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Prints the address, the first API key and a request that works as it stands; and a link that signs in,
/// if that is wanted.
fn tell(started: &Started, opens: bool) {
    let base = &started.public_url;
    terminal::note(&format!(
        "Avocet listens on {}; its page is {base}/, and the API is described at {base}/docs",
        started.address
    ));
    if opens {
        terminal::note(&format!("sign in once, within ten minutes: {}", started.sign_in));
    }
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
         -d '{{\"mode\":\"recipe\",\"input\":{{\"url\":\"{SAMPLE}\"}},\"output\":\
         {{\"format\":\"jpg\"}},\"recipe\":{{\"name\":\"thumbnail\",\"seekSeconds\":1}}}}'"
    ));
}

/// `avocet health`: 0 when the service answers, 1 when not.
fn health(matches: &ArgMatches) -> Result<ExitCode, Failure> {
    let listens = config(matches)?.listen;
    Ok(match health::ask(listens) {
        Ok(status) => terminal::print(&status, 0),
        Err(error) => {
            terminal::note(&format!("no service is well on {listens}: {error}"));
            ExitCode::FAILURE
        }
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.map_err(|error| {
        Failure::Usage(format!("can not start the threads of the service: {error}"))
    })
}

/// `avocet keys rotate`: returns the id of the new key.
fn rotate(matches: &ArgMatches) -> Result<String, Failure> {
    let config = config(matches)?;
    let kind = match matches.get_one::<String>(KIND).map(String::as_str) {
        Some("encryption") => KeyKind::Encryption,
        _ => KeyKind::Signing,
    };
    Admin::rotate(&config.data, kind).map_err(|error| Failure::Usage(error.to_string()))
}

/// `avocet backup` and `avocet restore`: the status is 1 for a backup that is not whole.
fn keep(name: &str, matches: &ArgMatches) -> Result<ExitCode, Failure> {
    let config = config(matches)?;
    let Some(folder) = matches.get_one::<PathBuf>(FOLDER) else {
        return Err(Failure::Usage("the folder of the backup is missing".to_owned()));
    };
    let done = async {
        if name == "backup" {
            Admin::open(&config.data).await?.back_up(folder).await
        } else if matches.get_flag(CHECK) {
            Admin::check_backup(folder).await
        } else {
            Admin::restore(folder, &config.data).await
        }
    };
    let backup = runtime()?.block_on(done).map_err(|error| Failure::Usage(error.to_string()))?;
    let status = u8::from(!backup.problems.is_empty());
    Ok(terminal::print(&serde_json::json!(backup).to_string(), status))
}

/// `avocet token create` and its like: returns what is printed, line by line.
fn administer(what: &str, act: &str, matches: &ArgMatches) -> Result<Vec<String>, Failure> {
    let config = config(matches)?;
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let done = async {
        let admin = Admin::open(&config.data).await?;
        let listed = |found: Vec<serde_json::Value>| {
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        Ok(match (what, act) {
            ("token", "create") => {
                let mut new = NewKey::default();
                new.name = text(NAME).unwrap_or_else(|| "made by hand".to_owned());
                new.project = text(PROJECT);
                new.scopes = matches.get_many(SCOPE).unwrap_or_default().cloned().collect();
                let days = matches.get_one::<u32>(EXPIRES_DAYS);
                new.lives = days.map(|days| Duration::from_secs(u64::from(*days) * 24 * 3600));
                vec![admin.create_key(&new).await?]
            }
            ("token", "list") => listed(admin.keys().await?),
            ("token", _) => {
                admin.revoke_key(&text(ID).unwrap_or_default()).await?;
                Vec::new()
            }
            (_, "create") => vec![admin.create_project(&text(NAME).unwrap_or_default()).await?],
            _ => listed(admin.projects().await?),
        })
    };
    runtime()?.block_on(done).map_err(|error: AdminError| Failure::Usage(error.to_string()))
}
