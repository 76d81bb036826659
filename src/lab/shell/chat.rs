//! The organisation as the Central Management store knows it: pools of Persistent Chat, their stores, and the one list
//! of active servers. Changed by the simulated cmdlets under the shell's lock.

use std::collections::BTreeSet;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// `PoolState` of Set-CsPersistentChatState.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PoolState {
    Normal,
    FailedOver,
}

/// A SQL Server instance of the topology.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    pub fqdn: String,
    pub instance: String,
}

impl Store {
    pub fn new(fqdn: &str, instance: &str) -> Self {
        Self { fqdn: fqdn.to_owned(), instance: instance.to_owned() }
    }

    /// Names in a topology differ in case and mean the same.
    pub fn is(&self, fqdn: &str, instance: &str) -> bool {
        self.fqdn.eq_ignore_ascii_case(fqdn) && self.instance.eq_ignore_ascii_case(instance)
    }
}

/// A member of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computer {
    pub fqdn: String,
    /// data centre, for reading only
    pub site: String,
    /// false: lost with its site
    pub up: bool,
}

/// One Persistent Chat pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    pub fqdn: String,
    pub site: String,
    pub computers: Vec<Computer>,
    pub state: PoolState,
    pub primary: Store,
    pub primary_mirror: Option<Store>,
    /// the log shipping secondary
    pub backup: Option<Store>,
    /// the secondary's mirror after a failover
    pub backup_mirror: Option<Store>,
}

impl Pool {
    /// The store that the pool uses in its state, and that store's mirror.
    pub fn in_use(&self) -> (Option<&Store>, Option<&Store>) {
        match self.state {
            PoolState::Normal => (Some(&self.primary), self.primary_mirror.as_ref()),
            PoolState::FailedOver => (self.backup.as_ref(), self.backup_mirror.as_ref()),
        }
    }
}

/// Everything the shell's cmdlets read and change.
#[derive(Clone, Debug)]
pub struct ChatSite {
    /// The pool of the scenario first.
    pub pools: Vec<Pool>,
    /// The organisation's one collection of active servers, of all pools (Set-CsPersistentChatActiveServer: "you can
    /// only have a single collection of Persistent Chat servers").
    pub active: Vec<String>,
    /// Computers whose chat service is stopped.
    pub stopped: BTreeSet<String>,
    /// The server that holds the Central Management store's master.
    pub master: String,
    /// Where the Central Management store is failed over to: the server, and its SQL Server.
    pub master_backup: (String, Store),
    /// The Central Management store can be written.
    pub store_up: bool,
    /// The state that the backup database was in when the scenario's pool was last turned to it.
    pub turned_to: Option<String>,
    /// When the configuration last changed, and what the local replica still says until it is replicated.
    pub(super) changed: Option<(Instant, Vec<PoolState>)>,
}

impl Default for ChatSite {
    /// The scene of the documented procedure: `litwareinc.com`, site A lost, and a second pool that must not be touched.
    fn default() -> Self {
        let computer = |fqdn: &str, site: &str, up: bool| Computer { fqdn: fqdn.to_owned(), site: site.to_owned(), up };
        let pool = Pool {
            fqdn: "atl-cs-001.litwareinc.com".to_owned(),
            site: "Atlanta".to_owned(),
            computers: vec![
                computer("atl-chat-01.litwareinc.com", "Atlanta", false),
                computer("atl-chat-02.litwareinc.com", "Atlanta", false),
                computer("dr-chat-01.litwareinc.com", "Dallas", true),
                computer("dr-chat-02.litwareinc.com", "Dallas", true),
            ],
            state: PoolState::Normal,
            primary: Store::new("pchat-sql-01.litwareinc.com", "RTC"),
            primary_mirror: Some(Store::new("pchat-sql-02.litwareinc.com", "RTC")),
            backup: Some(Store::new("dr-sql-01.litwareinc.com", "RTC")),
            backup_mirror: Some(Store::new("dr-sql-02.litwareinc.com", "RTC")),
        };
        let other = Pool {
            fqdn: "sea-cs-001.litwareinc.com".to_owned(),
            site: "Seattle".to_owned(),
            computers: vec![computer("sea-chat-01.litwareinc.com", "Seattle", true)],
            state: PoolState::Normal,
            primary: Store::new("sea-sql-01.litwareinc.com", "RTC"),
            primary_mirror: None,
            backup: None,
            backup_mirror: None,
        };
        Self {
            pools: vec![pool, other],
            active: ["atl-chat-01.litwareinc.com", "atl-chat-02.litwareinc.com", "sea-chat-01.litwareinc.com"].map(str::to_owned).to_vec(),
            stopped: BTreeSet::new(),
            master: "dr-fe-01.litwareinc.com".to_owned(),
            master_backup: ("dr-fe-02.litwareinc.com".to_owned(), Store::new("dr-cms-01.litwareinc.com", "RTC")),
            store_up: true,
            turned_to: None,
            changed: None,
        }
    }
}

impl ChatSite {
    /// The pool that a service identity names, in any of the spellings that Microsoft's pages print: `service:FQDN`,
    /// `service: FQDN`, `PersistentChatServer:FQDN`, `Service:PersistentChatServer:FQDN`.
    pub fn pool_named(&self, identity: &str) -> Option<usize> {
        let mut rest = identity.trim();
        let mut prefixed = false;
        for prefix in ["service:", "persistentchatserver:"] {
            if let Some(start) = rest.get(..prefix.len())
                && start.eq_ignore_ascii_case(prefix)
            {
                rest = rest[prefix.len()..].trim_start();
                prefixed = true;
            }
        }
        self.pools.iter().position(|pool| prefixed && pool.fqdn.eq_ignore_ascii_case(rest))
    }

    /// The Central Management store goes down with the lost site.
    pub(super) fn lose_store(&mut self) {
        self.master = "atl-fe-01.litwareinc.com".to_owned();
        self.store_up = false;
    }

    pub fn computers(&self) -> impl Iterator<Item = &Computer> {
        self.pools.iter().flat_map(|pool| &pool.computers)
    }

    /// Notes that the configuration is about to change: replicas show the old one until they are up to date.
    pub(super) fn changes(&mut self) {
        let before = self.pools.iter().map(|pool| pool.state).collect();
        self.changed = Some((Instant::now(), before));
    }
}
