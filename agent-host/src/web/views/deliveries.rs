//! Orders that come by HTTP: streamed into a file of the connection's folder, and a run queued for it.
//!
//! Nothing of what is no JSON, or too large, is kept. Under a key the same body is taken once, whatever happens in between:
//! the key is noted before the file is put in place, and the run after it, so that what is sent again goes on from there.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use axum::{body::Body, http::StatusCode};
use connector_api::mapping::Deactivation;
use futures::StreamExt;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{Refusal, Result, connection, note, runs};
use crate::{
    access::{Caller, Role},
    disk,
    fulfill::{count_orders, orders_folder, stamp},
    jobs::{Job, Kind},
    orders::folder::{self, BY_HTTP},
    password_reset::random_text,
    presence::place_of,
    store::{DeliveryKey, OrderDelivery},
    web::Web,
};

/// Bytes of one body.
pub const MAX_ORDERS_BYTES: u64 = 64 << 20;

/// Orders that were taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Delivered {
    /// The connection.
    pub connection: String,
    /// How many orders.
    pub orders: i64,
    /// The file they are in, in the connection's orders folder.
    pub file: String,
    /// The run of the job that carries them out.
    pub run: i64,
    /// That job.
    pub job: String,
}

/// A file in the making, which goes unless it is put in place.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Best effort: its name begins with a dot, so that nobody takes it for orders.
        let _ = fs::remove_file(&self.0);
    }
}

/// Takes orders in and queues the run that carries them out.
///
/// # Errors
/// Where the caller may not, fulfilment is switched off, the body is no JSON or too large, or the key came with another.
pub async fn deliver(web: &Web, caller: &Caller, name: &str, key: Option<&str>, body: Body) -> Result<Delivered> {
    let settings = connection(web, caller, Role::Operator, name)?;
    let id = settings.id().as_str();
    if let Some(place) = web.agent.switched_off(id, Deactivation::Fulfill) {
        let message = format!("{place}: the fulfillment of `{id}` is switched off");
        return Err(Refusal::conflict(message, "switch it on in the mapping"));
    }
    let home = orders_folder(&web.agent, &web.agent.connection(id)?);
    let file = format!("{}_{}{BY_HTTP}", stamp(web.now_ms()), random_text(6)?);
    let part = Part(home.join(format!(".{file}.part")));
    let (kept, digest) = receive(&home, &part.0, body).await?;
    let orders = count(web, id, &part.0, kept).await?;
    let place = place_of(&web.agent.settings, web.store()).unwrap_or_default();
    let delivery = OrderDelivery { digest, file, orders, run: None, place };
    // What comes twice at once under one key is taken one after the other.
    let _turn = web.delivering.lock().await;
    let key = key.map(|key| DeliveryKey { caller: &caller.name, connection: id, key });
    let delivery = match key {
        Some(key) => known(web, key, delivery).await?,
        None => delivery,
    };
    let job = Job::name_of(Kind::Fulfill, id);
    let run = match delivery.run {
        Some(run) => run,
        None => {
            if !is_there(&home, &delivery.file) {
                disk::put_in_place(&part.0, &home.join(&delivery.file)).map_err(anyhow::Error::from)?;
            }
            let run = runs::queue(web, &job, "orders").await?.run;
            if let Some(key) = key {
                web.store().end_delivery(key, run).await?;
            }
            note(web, caller, "send_orders", id, &delivery.file, "queued").await?;
            run
        }
    };
    Ok(Delivered { connection: id.to_owned(), orders: delivery.orders, file: delivery.file, run, job })
}

/// What came under the key before, or now.
async fn known(web: &Web, key: DeliveryKey<'_>, delivery: OrderDelivery) -> Result<OrderDelivery> {
    let known = web.store().begin_delivery(key, &delivery, web.now_ms()).await?;
    if known.digest == delivery.digest && known.run.is_none() && known.place != delivery.place {
        // Whether they are in a folder that this agent does not see, it cannot know.
        let message = format!("the orders under the key `{}` are being taken by another agent", key.key);
        return Err(Refusal::conflict(message, "send them again; if it goes on, send them to that agent"));
    }
    if known.digest == delivery.digest {
        return Ok(known);
    }
    let message = format!("the key `{}` came before with other orders", key.key);
    Err(Refusal::unfit(message, "send each delivery under a key of its own, and repeat it unchanged"))
}

/// Writes the body into a file; the file and its SHA-256.
async fn receive(home: &Path, path: &Path, body: Body) -> Result<(File, String)> {
    fs::create_dir_all(home).map_err(anyhow::Error::from)?;
    let mut file: File = disk::create_private(path).map_err(anyhow::Error::from)?;
    let (mut digest, mut size) = (Sha256::new(), 0_u64);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| {
            let hint = "send it again, under the same key";
            Refusal::new(StatusCode::BAD_REQUEST, "malformed", "the body broke off", hint)
        })?;
        size += piece.len() as u64;
        if size > MAX_ORDERS_BYTES {
            let message = format!("the body is larger than the {MAX_ORDERS_BYTES} bytes that are taken at once");
            let hint = "send it in parts, or put the file into the orders folder";
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, hint));
        }
        digest.update(&piece);
        file.write_all(&piece).map_err(anyhow::Error::from)?;
    }
    Ok((file, digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// Sees the file to the disk; how many orders it holds, all of which are looked at, on a thread on which nobody waits.
async fn count(web: &Web, connection: &str, path: &Path, file: File) -> Result<i64> {
    let (agent, connection, path) = (web.agent.clone(), connection.to_owned(), path.to_owned());
    let counted = tokio::task::spawn_blocking(move || {
        file.sync_all()?;
        let opened = agent.connection(&connection)?;
        count_orders(&agent, &opened, &path)
    });
    match counted.await.map_err(anyhow::Error::from)?? {
        Ok(count) => Ok(i64::try_from(count).unwrap_or(i64::MAX)),
        Err(why) => {
            let hint = "send `{\"ProvisioningOrdersList\": […]}` as JSON in UTF-8; nothing was kept";
            Err(Refusal::new(StatusCode::BAD_REQUEST, "malformed", format!("the orders cannot be read: {why}"), hint))
        }
    }
}

/// Whether the file was put in place before, handled or not.
fn is_there(home: &Path, file: &str) -> bool {
    let folders = [home.to_owned(), home.join(folder::COMPLETED), home.join(folder::REJECTED)];
    folders.iter().any(|folder| folder.join(file).exists())
}
