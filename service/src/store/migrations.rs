//! The steps in which the database came to its present form. A released step is never changed:
//! whoever needs another form adds a step.

use std::{borrow::Cow, future};

use sqlx::{
    Row, SqlitePool,
    error::BoxDynError,
    migrate::{Migration, MigrationSource, MigrationType, Migrator},
};

use super::StoreError;

/// The steps, from 1 on. The first makes what releases without steps made, and is harmless for their
/// databases.
const STEPS: [(&str, &str); 4] = [
    ("first", include_str!("migrations/1_first.sql")),
    ("projects", include_str!("migrations/2_projects.sql")),
    ("uploads", include_str!("migrations/3_uploads.sql")),
    ("page", include_str!("migrations/4_page.sql")),
];

/// The number of the last step.
const LAST: i64 = 4;

#[derive(Debug)]
struct Steps;

impl MigrationSource<'static> for Steps {
    fn resolve(
        self,
    ) -> futures_util::future::BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        let steps = STEPS.iter().zip(1..).map(|((name, text), number)| {
            let kind = MigrationType::Simple;
            Migration::new(number, Cow::Borrowed(name), kind, Cow::Borrowed(text), false)
        });
        Box::pin(future::ready(Ok(steps.collect())))
    }
}

/// Brings a database to the present form.
///
/// # Errors
/// [`StoreError::Newer`] when a later release has written it; it is left as it is then.
pub(super) async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let found = last_step(pool).await?;
    if found > LAST {
        return Err(StoreError::Newer { found, known: LAST });
    }
    let migrator = Migrator::new(Steps).await.map_err(sqlx::Error::from)?;
    migrator.run(pool).await.map_err(sqlx::Error::from)?;
    Ok(())
}

/// Refuses a database that another release has written.
pub(super) async fn expect_present(pool: &SqlitePool) -> Result<(), StoreError> {
    match last_step(pool).await? {
        LAST => Ok(()),
        found if found > LAST => Err(StoreError::Newer { found, known: LAST }),
        found => Err(StoreError::Older { found, known: LAST }),
    }
}

/// The number of the last step that was done; 0 for a database without steps.
async fn last_step(pool: &SqlitePool) -> Result<i64, sqlx::Error> {
    // The table of the crate sqlx.
    let text = "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    if sqlx::query(text).fetch_one(pool).await?.get::<i64, _>(0) == 0 {
        return Ok(0);
    }
    let text = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations";
    sqlx::query_scalar(text).fetch_one(pool).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_is_the_number_of_steps() {
        assert_eq!(usize::try_from(LAST), Ok(STEPS.len()));
    }
}
