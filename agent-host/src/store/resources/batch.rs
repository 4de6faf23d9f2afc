//! Changes of directories within one transaction: what each asks of the tables.
//!
//! A change is refused before it writes anything, so that the others of its batch are untouched. Numbers, events and
//! counts of blocks are kept while the batch is made and written once at its end.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aws_lc_rs::digest::{SHA256, digest};
use scim_server::{
    Change, Deletion, Draft, Field, Keys, Kind, Link, Links, MemberChange, Resource, StoreError, UnknownMember,
};
use serde_json::{Map, Value};
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{
    super::places,
    BLOCK, can_be_kept, column,
    emails::{self, Emails},
    events::{self, NewEvent},
    present::{self, Ahead, Present},
    rows::{attributes, kind_number, links_of_one, list, padded, read_link},
    writer::{Job, Wish},
};

/// Rows of a statement that writes or looks for many.
const ROWS: usize = 512;

/// Changes on their way to a commit.
pub(super) struct Batch<'c> {
    connection: &'c mut AnyConnection,
    now_ms: i64,
    directories: BTreeMap<i64, Counters>,
    ahead: Ahead,
    /// How many resources came and went, by directory, kind and block.
    blocks: BTreeMap<(i64, i64, i64), i64>,
    emails: Emails,
    events: Vec<NewEvent>,
}

pub(super) enum Failure {
    Refused(StoreError),
    Broken(sqlx::Error),
}

struct Counters {
    sequence: i64,
    event: i64,
    salt: String,
}

/// What an event tells of the resource.
#[derive(Default)]
struct Told {
    before: Option<String>,
    after: Option<String>,
    added: Vec<String>,
    removed: Vec<String>,
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Broken(error)
    }
}

impl<'c> Batch<'c> {
    /// Takes the turn in every directory that is changed: until the commit nobody else changes it.
    pub(super) async fn begin(
        connection: &'c mut AnyConnection,
        jobs: &[Job],
        now_ms: i64,
    ) -> Result<Self, sqlx::Error> {
        let mut directories = BTreeMap::new();
        for id in jobs.iter().map(|job| job.directory).collect::<BTreeSet<_>>() {
            let statement = "UPDATE directories SET changed_ms = $2 WHERE id = $1 \
                 RETURNING last_sequence, last_event, salt";
            let query = sqlx::query_as(statement).bind(id).bind(now_ms);
            if let Some((sequence, event, salt)) = query.fetch_optional(&mut *connection).await? {
                directories.insert(id, Counters { sequence, event, salt });
            }
        }
        let ahead = Ahead::read(&mut *connection, jobs).await?;
        let (blocks, emails, events) = (BTreeMap::new(), Emails::default(), Vec::new());
        Ok(Self { connection, now_ms, directories, ahead, blocks, emails, events })
    }

    pub(super) async fn make(&mut self, job: &Job) -> Result<Option<Resource>, Failure> {
        if !self.directories.contains_key(&job.directory) {
            return Err(Failure::Refused(StoreError::Failed("the directory was removed".into())));
        }
        match &job.wish {
            Wish::Create { kind, draft } => self.create(job, *kind, draft).await.map(Some),
            Wish::Update { kind, id, change } => self.update(job, *kind, id, change).await.map(Some),
            Wish::Delete { kind, id, deletion } => self.delete(job, *kind, id, *deletion).await.map(|()| None),
        }
    }

    /// Writes what was kept back.
    pub(super) async fn finish(self) -> Result<(), sqlx::Error> {
        events::insert(self.connection, &self.events).await?;
        self.emails.write(self.connection).await?;
        let blocks: Vec<_> = self.blocks.into_iter().filter(|(_, change)| *change != 0).collect();
        for blocks in blocks.chunks(ROWS) {
            let text = format!(
                "INSERT INTO resource_blocks (directory, kind, block, resources) VALUES {} ON CONFLICT (directory, kind, \
                 block) DO UPDATE SET resources = resource_blocks.resources + excluded.resources",
                places(blocks.len(), 4)
            );
            let query =
                blocks.iter().fold(sqlx::query(AssertSqlSafe(text)), |query, ((directory, kind, block), change)| {
                    query.bind(*directory).bind(*kind).bind(*block).bind(*change)
                });
            query.execute(&mut *self.connection).await?;
        }
        for (id, counters) in &self.directories {
            // Rows of e-mail addresses that were behind stay so.
            let statement = "UPDATE directories SET last_sequence = $2, last_event = $3, \
                 emails_event = CASE WHEN emails_event = last_event THEN $3 ELSE emails_event END WHERE id = $1";
            let query = sqlx::query(statement).bind(*id).bind(counters.sequence).bind(counters.event);
            query.execute(&mut *self.connection).await?;
        }
        Ok(())
    }

    async fn create(&mut self, job: &Job, kind: Kind, draft: &Draft) -> Result<Resource, Failure> {
        self.check_unique(job.directory, kind, &draft.keys, &draft.unique, None, None).await?;
        self.check_members(job.directory, &draft.members, draft.unknown_member).await?;
        let counters = self.directories.get_mut(&job.directory).expect("it was looked for");
        let sequence = counters.sequence + 1;
        let id = id(&counters.salt, sequence);
        let text = Value::Object(draft.attributes.clone()).to_string();
        let statement = "INSERT INTO resources (id, directory, kind, sequence, version, created_ms, modified_ms, user_name, \
             external_id, display_name, label, attributes, managed) VALUES ($1, $2, $3, $4, 1, $5, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (directory, kind, user_name) DO NOTHING";
        let query = sqlx::query(statement).bind(id.as_str()).bind(job.directory).bind(kind_number(kind)).bind(sequence);
        let query =
            query.bind(self.now_ms).bind(draft.keys.user_name.as_deref()).bind(draft.keys.external_id.as_deref());
        let query = query.bind(draft.keys.display_name.as_deref()).bind(label(&draft.attributes)).bind(text.as_str());
        // Without an id of its own nobody has said that it is theirs.
        let query = query.bind(i64::from(kind == Kind::User && draft.keys.external_id.is_some()));
        if query.execute(&mut *self.connection).await?.rows_affected() == 0 {
            return Err(Failure::Refused(StoreError::NotUnique(Field::UserName)));
        }
        self.directories.get_mut(&job.directory).expect("it was looked for").sequence = sequence;
        *self.blocks.entry((job.directory, kind_number(kind), sequence / BLOCK)).or_default() += 1;
        self.emails.change(job.directory, &id, &[], &draft.keys.emails);
        let added = self.add_members(job.directory, &id, &draft.members).await?;
        if kind == Kind::Group {
            self.ahead.forget_groups();
        }
        self.tell(job, "created", kind, &id, Told { after: Some(text), added, ..Told::default() });
        let links = match kind {
            // Nobody knew its id before.
            Kind::User => (job.links != Links::None).then(Vec::new),
            Kind::Group => self.links(job.directory, kind, &id, job.links).await?,
        };
        Ok(Resource {
            id,
            sequence: sequence.cast_unsigned(),
            version: 1,
            created_ms: self.now_ms,
            modified_ms: self.now_ms,
            attributes: draft.attributes.clone(),
            links,
        })
    }

    async fn update(&mut self, job: &Job, kind: Kind, id: &str, change: &Change) -> Result<Resource, Failure> {
        let mut present = self.present(job.directory, kind, id, change.if_version).await?;
        if let Some((_, keys)) = &change.attributes {
            self.check_unique(job.directory, kind, keys, &change.unique, Some(id), Some(&present)).await?;
        }
        self.check_members(job.directory, &change.members.add, change.unknown_member).await?;
        let (added, removed) = self.change_members(job.directory, id, &change.members).await?;
        if kind == Kind::Group {
            self.ahead.forget_groups();
        }
        let wanted = change.attributes.as_ref();
        let wanted = wanted.map(|(attributes, keys)| (Value::Object(attributes.clone()).to_string(), attributes, keys));
        let wanted = wanted.filter(|(text, ..)| *text != present.attributes);
        if kind == Kind::User && !present.managed {
            let statement = "UPDATE resources SET managed = 1 WHERE id = $1";
            sqlx::query(statement).bind(id).execute(&mut *self.connection).await?;
            self.tell(job, "adopted", kind, id, Told::default());
        }
        let has_changed = wanted.is_some() || change.password.is_some() || !added.is_empty() || !removed.is_empty();
        let mut told = Told { added, removed, ..Told::default() };
        if has_changed {
            (present.version, present.modified_ms) = (present.version + 1, self.now_ms);
        }
        let kept = match wanted {
            Some((text, wanted, keys)) => {
                self.emails.change(job.directory, id, &emails::of(&present.attributes)?, &keys.emails);
                self.write(id, &present, Some((&text, wanted, keys))).await?;
                told.before = Some(std::mem::take(&mut present.attributes));
                told.after = Some(text);
                wanted.clone()
            }
            None => {
                if has_changed {
                    self.write(id, &present, None).await?;
                }
                attributes(&present.attributes)?
            }
        };
        if has_changed {
            self.tell(job, "updated", kind, id, told);
        }
        Ok(Resource {
            id: id.to_owned(),
            sequence: present.sequence.cast_unsigned(),
            version: present.version.cast_unsigned(),
            created_ms: present.created_ms,
            modified_ms: present.modified_ms,
            attributes: kept,
            links: match (job.links, present.groups.take()) {
                (Links::All, Some(groups)) => Some(groups),
                (links, _) => self.links(job.directory, kind, id, links).await?,
            },
        })
    }

    async fn delete(&mut self, job: &Job, kind: Kind, id: &str, deletion: Deletion) -> Result<(), Failure> {
        let present = self.present(job.directory, kind, id, deletion.if_version).await?;
        self.ahead.forget_groups();
        let statement = "DELETE FROM members WHERE directory = $1 AND group_id = $2";
        sqlx::query(statement).bind(job.directory).bind(id).execute(&mut *self.connection).await?;
        let statement = "UPDATE resources SET version = version + 1, modified_ms = $3 WHERE directory + 0 = $1 AND id IN \
             (SELECT group_id FROM members WHERE directory = $1 AND member_id = $2)";
        let query = sqlx::query(statement).bind(job.directory).bind(id).bind(self.now_ms);
        query.execute(&mut *self.connection).await?;
        let statement = "DELETE FROM members WHERE directory = $1 AND member_id = $2 RETURNING group_id";
        let query = sqlx::query_scalar(statement).bind(job.directory).bind(id);
        let left: Vec<String> = query.fetch_all(&mut *self.connection).await?;
        for group in left {
            let told = Told { removed: vec![id.to_owned()], ..Told::default() };
            self.tell(job, "updated", Kind::Group, &group, told);
        }
        if deletion.soft {
            let statement = "INSERT INTO deleted_resources (id, directory, kind, deleted_ms, attributes, actor) \
                 VALUES ($1, $2, $3, $4, $5, $6)";
            let query = sqlx::query(statement).bind(id).bind(job.directory).bind(kind_number(kind));
            let query = query.bind(self.now_ms).bind(present.attributes.as_str()).bind(job.actor.as_str());
            query.execute(&mut *self.connection).await?;
        }
        self.emails.change(job.directory, id, &emails::of(&present.attributes)?, &[]);
        sqlx::query("DELETE FROM resources WHERE id = $1").bind(id).execute(&mut *self.connection).await?;
        *self.blocks.entry((job.directory, kind_number(kind), present.sequence / BLOCK)).or_default() -= 1;
        self.tell(job, "deleted", kind, id, Told { before: Some(present.attributes), ..Told::default() });
        Ok(())
    }

    async fn present(
        &mut self,
        directory: i64,
        kind: Kind,
        id: &str,
        version: Option<u64>,
    ) -> Result<Present, Failure> {
        let present = match self.ahead.take(directory, kind, id) {
            Some(present) => present,
            None => {
                let present = present::one(&mut *self.connection, directory, kind, id).await?;
                present.ok_or(Failure::Refused(StoreError::NotFound))?
            }
        };
        if version.is_some_and(|version| version != present.version.cast_unsigned()) {
            return Err(Failure::Refused(StoreError::Conflict));
        }
        Ok(present)
    }

    async fn write(
        &mut self,
        id: &str,
        present: &Present,
        wanted: Option<(&str, &Map<String, Value>, &Keys)>,
    ) -> Result<(), sqlx::Error> {
        let Some((text, attributes, keys)) = wanted else {
            let statement = "UPDATE resources SET version = $2, modified_ms = $3 WHERE id = $1";
            let query = sqlx::query(statement).bind(id).bind(present.version).bind(present.modified_ms);
            return query.execute(&mut *self.connection).await.map(drop);
        };
        let statement = "UPDATE resources SET version = $2, modified_ms = $3, user_name = $4, external_id = $5, \
             display_name = $6, label = $7, attributes = $8 WHERE id = $1";
        let query = sqlx::query(statement).bind(id).bind(present.version).bind(present.modified_ms);
        let query = query.bind(keys.user_name.as_deref()).bind(keys.external_id.as_deref());
        let query = query.bind(keys.display_name.as_deref()).bind(label(attributes)).bind(text);
        query.execute(&mut *self.connection).await.map(drop)
    }

    /// Refuses a key that another resource has. A new `userName` is left to the index.
    async fn check_unique(
        &mut self,
        directory: i64,
        kind: Kind,
        keys: &Keys,
        unique: &[Field],
        own: Option<&str>,
        present: Option<&Present>,
    ) -> Result<(), Failure> {
        for field in unique {
            let before = present.and_then(|present| match field {
                Field::UserName => present.user_name.as_deref(),
                Field::DisplayName => present.display_name.as_deref(),
                _ => None,
            });
            let Some(key) = keys.get(*field).filter(|key| Some(*key) != before) else { continue };
            if *field == Field::UserName && own.is_none() {
                continue;
            }
            let text = format!(
                "SELECT id FROM resources WHERE directory + 0 = $1 AND kind + 0 = $2 AND {} = $3 AND id <> $4 LIMIT 1",
                column(*field)
            );
            let query = sqlx::query(AssertSqlSafe(text)).bind(directory).bind(kind_number(kind)).bind(key);
            let other = query.bind(own.unwrap_or_default()).fetch_optional(&mut *self.connection).await?;
            if other.is_some() {
                return Err(Failure::Refused(StoreError::NotUnique(*field)));
            }
        }
        Ok(())
    }

    async fn check_members(&mut self, directory: i64, members: &[Link], unknown: UnknownMember) -> Result<(), Failure> {
        if unknown == UnknownMember::Keep {
            return Ok(());
        }
        for members in members.chunks(ROWS) {
            let ids = padded(members.iter().map(|member| member.id.clone()));
            let text = format!("SELECT id FROM resources WHERE directory + 0 = $1 AND id IN ({})", list(ids.len(), 2));
            let query = sqlx::query_scalar(AssertSqlSafe(text)).bind(directory);
            let query = ids.iter().fold(query, |query, id| query.bind(id.as_str()));
            let known: HashSet<String> = query.fetch_all(&mut *self.connection).await?.into_iter().collect();
            if let Some(missing) = members.iter().find(|member| !known.contains(&member.id)) {
                return Err(Failure::Refused(StoreError::UnknownMember(missing.id.clone())));
            }
        }
        Ok(())
    }

    /// Who came and who went.
    async fn change_members(
        &mut self,
        directory: i64,
        group: &str,
        change: &MemberChange,
    ) -> Result<(Vec<String>, Vec<String>), sqlx::Error> {
        let mut gone: Vec<String> = change.remove.iter().filter(|member| can_be_kept(member)).cloned().collect();
        if change.clear {
            let stays: HashSet<&str> = change.add.iter().map(|member| member.id.as_str()).collect();
            let statement = "SELECT member_id FROM members WHERE directory = $1 AND group_id = $2";
            let query = sqlx::query_scalar(statement).bind(directory).bind(group);
            let present: Vec<String> = query.fetch_all(&mut *self.connection).await?;
            gone = present.into_iter().filter(|member| !stays.contains(member.as_str())).collect();
        }
        let mut removed = Vec::new();
        for gone in gone.chunks(ROWS) {
            let ids = padded(gone.iter().cloned());
            let text = format!(
                "DELETE FROM members WHERE directory = $1 AND group_id = $2 AND member_id IN ({}) RETURNING member_id",
                list(ids.len(), 3)
            );
            let query = sqlx::query_scalar(AssertSqlSafe(text)).bind(directory).bind(group);
            let query = ids.iter().fold(query, |query, id| query.bind(id.as_str()));
            removed.extend::<Vec<String>>(query.fetch_all(&mut *self.connection).await?);
        }
        Ok((self.add_members(directory, group, &change.add).await?, removed))
    }

    /// Who was not there before.
    async fn add_members(&mut self, directory: i64, group: &str, members: &[Link]) -> Result<Vec<String>, sqlx::Error> {
        let mut added = Vec::new();
        for members in members.chunks(ROWS) {
            let rows = members.len().next_power_of_two();
            let text = format!(
                "INSERT INTO members (directory, group_id, member_id, display) VALUES {} \
                 ON CONFLICT (directory, group_id, member_id) DO NOTHING RETURNING member_id",
                places(rows, 4)
            );
            let mut query = sqlx::query_scalar(AssertSqlSafe(text));
            // The last is named again until there are enough.
            for member in (0..rows).filter_map(|row| members.get(row).or(members.last())) {
                query = query.bind(directory).bind(group).bind(member.id.as_str()).bind(member.display.as_deref());
            }
            added.extend::<Vec<String>>(query.fetch_all(&mut *self.connection).await?);
        }
        Ok(added)
    }

    async fn links(
        &mut self,
        directory: i64,
        kind: Kind,
        id: &str,
        links: Links,
    ) -> Result<Option<Vec<Link>>, sqlx::Error> {
        let most = match links {
            Links::None => return Ok(None),
            Links::UpTo(most) => Some(most),
            Links::All => None,
        };
        let text = links_of_one(kind, most.map(|most| most.saturating_add(1)));
        let query = sqlx::query(AssertSqlSafe(text)).bind(directory).bind(id);
        let mut links = Vec::new();
        for row in query.fetch_all(&mut *self.connection).await? {
            links.extend(read_link(&row)?.map(|(_, link)| link));
        }
        Ok((links.len() <= most.unwrap_or(usize::MAX)).then_some(links))
    }

    fn tell(&mut self, job: &Job, action: &'static str, kind: Kind, resource: &str, told: Told) {
        let counters = self.directories.get_mut(&job.directory).expect("it was looked for");
        counters.event += 1;
        self.events.push(NewEvent {
            directory: job.directory,
            number: counters.event,
            at_ms: self.now_ms,
            actor: job.actor.clone(),
            action,
            kind: kind_number(kind),
            resource: resource.to_owned(),
            before: told.before,
            after: told.after,
            added: told.added,
            removed: told.removed,
        });
    }
}

/// The id of the resource with this sequence: in order, for the indexes' sake, and not to be guessed.
fn id(salt: &str, sequence: i64) -> String {
    let digest = digest(&SHA256, format!("{salt}/{sequence}").as_bytes());
    let rest: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{sequence:08x}-{rest}")
}

/// What links call a resource.
fn label(attributes: &Map<String, Value>) -> Option<&str> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    text("displayName").or_else(|| text("userName"))
}
