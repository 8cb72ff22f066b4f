//! Plans for HTTP requests that wait for the answer.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use super::{Kind, Look, Place, Places, Pool, Prepared, Worker};
use crate::model::protocol::{Event, Failure, Limits, Purpose};

/// Why a request can not be served now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy {
    /// The reason, for people.
    pub(crate) what: &'static str,
    /// How long the client should wait before it tries again.
    pub(crate) after: Duration,
}

impl Busy {
    /// Free space does not come back by itself, so the pause is long.
    pub(crate) const DISK_FULL: Self =
        Self { what: "the disk is full", after: Duration::from_secs(60) };
}

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum NotPlanned {
    /// No worker can make it now; the request may be repeated.
    Busy(Busy),
    /// The job itself would fail with this.
    Failed(Failure),
}

/// How many plans are made at the same time.
const PLANS: usize = 2;

/// How many more may wait for bytes of their inputs.
const ASIDE: usize = 16;

/// The same of one project.
const ASIDE_OF_ONE: usize = 4;

/// How long a request waits for its turn.
const TO_BEGIN: Duration = Duration::from_secs(10);

/// How long a plan may take.
const TO_PLAN: Duration = Duration::from_secs(60);

/// How often it is looked whether a plan waits for its inputs.
const LOOK: Duration = Duration::from_millis(100);

/// Makes plans, in turn for each project.
#[derive(Debug)]
pub(crate) struct Planners {
    places: Places,
}

impl Planners {
    pub(crate) fn new() -> Self {
        Self { places: Places::new(PLANS, ASIDE, ASIDE_OF_ONE) }
    }

    /// Makes the plan of a project's job, within the limits that jobs have. `refuses` says why a
    /// worker may not go on that looks like this.
    pub(crate) async fn plan(
        &self,
        pool: &Pool,
        project: &str,
        prepared: &Prepared,
        limits: &Limits,
        refuses: impl Fn(&Look) -> Option<Failure>,
    ) -> Result<Value, NotPlanned> {
        let place = timeout(TO_BEGIN, self.places.take(project)).await;
        let busy = Busy { what: "too many plans are requested at once", after: TO_BEGIN };
        let place = place.map_err(|_| NotPlanned::Busy(busy))?;
        let failed = |message: String| {
            NotPlanned::Failed(Failure::new("ENGINE_INVOCATION_ERROR", message, "plan", true))
        };
        // No plan starts the ffmpeg program.
        let prepared = Prepared { kind: Kind::Recipes, ..prepared.clone() };
        let given = pool.give(project, &prepared, limits, |_| Purpose::Plan).await;
        let mut worker = given.map_err(|error| failed(error.to_string()))?;
        let not_planned = match timeout(TO_PLAN, planned(&mut worker, place, refuses)).await {
            Ok(Planned::Done(plan)) => {
                pool.put(worker).await;
                return plan.map_err(NotPlanned::Failed);
            }
            Ok(Planned::Refused(failure)) => NotPlanned::Failed(failure),
            Ok(Planned::InTheWay) => NotPlanned::Busy(busy),
            Ok(Planned::Crashed) => failed("the worker that made the plan crashed".to_owned()),
            Err(_) => failed(format!("the plan took longer than {} s", TO_PLAN.as_secs())),
        };
        worker.end().await;
        Err(not_planned)
    }
}

/// How the planning ended.
enum Planned {
    Done(Result<Value, Failure>),
    /// The worker uses too much.
    Refused(Failure),
    /// It waits for its inputs, as too many others do.
    InTheWay,
    Crashed,
}

/// The plan that a worker makes.
async fn planned(
    worker: &mut Worker,
    mut place: Place,
    refuses: impl Fn(&Look) -> Option<Failure>,
) -> Planned {
    let mut shown = None;
    let mut watch = interval(LOOK);
    loop {
        let event = tokio::select! {
            event = worker.event() => event,
            _ = watch.tick() => {
                // One that has ended is noticed by the end of its output.
                let Some(look) = worker.look().await else { continue };
                if let Some(failure) = refuses(&look) {
                    return Planned::Refused(failure);
                }
                if !place.look(worker.inputs(), look.vitals.ticks) {
                    return Planned::InTheWay;
                }
                continue;
            }
        };
        match event {
            Some(Event::Planned { strategy, reasons, plan, .. }) => {
                shown = Some(json!({ "strategy": strategy, "reasons": reasons, "plan": plan }));
            }
            Some(Event::Done(_)) => {
                return shown.map_or(Planned::Crashed, |it| Planned::Done(Ok(it)));
            }
            Some(Event::Failed(failure)) => return Planned::Done(Err(failure)),
            #[cfg(feature = "door")]
            Some(Event::Through(_)) => {}
            Some(Event::Taken | Event::Probing | Event::Planning | Event::Progress(_)) => {}
            None => return Planned::Crashed,
        }
    }
}
