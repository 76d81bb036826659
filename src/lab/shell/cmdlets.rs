//! The simulated cmdlets: what each reads or changes and what it answers. A cmdlet of the catalogue that is not here is
//! refused. Set-, Install-, Start- and Stop- cmdlets answer nothing when they succeed, as the real ones do.

use std::time::Instant;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::binding::{self, Bound};
use super::chat::{ChatSite, Computer, Pool, PoolState, Store};
use super::{DatabaseView, Shell, fault};
use crate::facts::cmdlets;
use crate::wire::bridge::{Answer, ErrorRecord};

/// `RTCCHAT`, the only service of a chat server that a failover touches (its name is field knowledge, not documented).
const CHAT_SERVICE: &str = "RTCCHAT";
const VERSION: &str = "5.0.8308.0";
const CHAT_DATABASE: &str = "mgc";

/// Output and records of one call, in order.
type Answers = Vec<Answer>;
type Outcome = Result<Answers, Box<ErrorRecord>>;

/// How long the call takes at pace 1.
pub(super) fn seconds(shell: &Shell, bound: &Bound) -> f64 {
    let options = &shell.options;
    let asks_dead = bound
        .text("ComputerName")
        .is_some_and(|name| shell.site().computers().any(|computer| computer.fqdn.eq_ignore_ascii_case(name) && !computer.up));
    match bound.cmdlet.name {
        "Install-CsMirrorDatabase" | "Uninstall-CsMirrorDatabase" => options.mirror_seconds,
        _ if asks_dead => options.dead_seconds,
        name if name.starts_with("Get-") => options.read_seconds,
        _ => options.change_seconds,
    }
}

/// Runs one call. May block: SQL Server is asked.
pub(super) fn run(shell: &Shell, bound: &Bound) -> Answers {
    let outcome = match bound.cmdlet.name {
        "Get-CsPersistentChatState" => get_state(shell, bound),
        "Set-CsPersistentChatState" => set_state(shell, bound),
        "Set-CsPersistentChatActiveServer" => set_active(shell, bound),
        "Get-CsService" => get_service(shell, bound),
        "Get-CsPool" => get_pool(shell, bound),
        "Get-CsTopology" => get_topology(shell, bound),
        "Get-CsManagementStoreReplicationStatus" => get_replication(shell, bound),
        "Get-CsWindowsService" | "Start-CsWindowsService" | "Stop-CsWindowsService" => windows_service(shell, bound),
        "Install-CsMirrorDatabase" | "Uninstall-CsMirrorDatabase" => mirror(shell, bound),
        "Get-CsDatabaseMirrorState" => get_mirror_state(shell, bound),
        "Test-CsDatabase" => test_database(shell, bound),
        "Test-CsPersistentChatMessage" => test_message(shell, bound),
        "Invoke-CsDatabaseFailover" => fail_database_over(shell, bound),
        "Invoke-CsManagementServerFailover" => fail_management_over(shell, bound),
        "Get-CsAdminRole" => get_admin_role(bound),
        name => Err(Box::new(ErrorRecord {
            category: "NotImplemented".to_owned(),
            error_id: format!("NotSimulated,{name}"),
            message: format!("The lab does not simulate {name}."),
            target: String::new(),
            terminating: true,
            exception: "System.NotImplementedException".to_owned(),
        })),
    };
    outcome.unwrap_or_else(|record| vec![Answer::Error(*record)])
}

/// An error that the cmdlet reports and survives.
fn error(bound: &Bound, category: &str, id: &str, target: &str, message: String) -> Box<ErrorRecord> {
    Box::new(ErrorRecord {
        category: category.to_owned(),
        error_id: format!("{id},{}", bound.cmdlet.name),
        message,
        target: target.to_owned(),
        terminating: false,
        exception: "Microsoft.Rtc.Management.ManagementException".to_owned(),
    })
}

fn not_found(bound: &Bound, what: &str) -> Box<ErrorRecord> {
    error(bound, "ObjectNotFound", "ObjectNotFound", what, format!("Cannot find \"{what}\" because it does not exist."))
}

fn objects(values: impl IntoIterator<Item = Value>) -> Answers {
    values.into_iter().map(|value| Answer::Output { value }).collect()
}

fn verbose(message: String) -> Answer {
    Answer::Verbose { message }
}

/// What stands before any change: a question that nobody can answer, `-WhatIf`, and a store that can be written.
/// `Ok(false)`: nothing is to be done.
fn may_change(shell: &Shell, bound: &Bound, writes_cms: bool) -> Result<bool, Box<ErrorRecord>> {
    if bound.is_set("WhatIf") {
        return Ok(false);
    }
    let confirm = bound.get("Confirm").and_then(Value::as_bool).unwrap_or(bound.cmdlet.prompts);
    if confirm {
        return Err(Box::new(ErrorRecord {
            exception: "System.Management.Automation.PSInvalidOperationException".to_owned(),
            ..binding::record(
                bound.cmdlet,
                "InvalidOperation",
                "InvalidOperation",
                "Windows PowerShell is in NonInteractive mode. Read and Prompt functionality is not available.".to_owned(),
            )
        }));
    }
    if writes_cms && !shell.site().store_up {
        let message = "Cannot open the Central Management store for writing: the database server cannot be reached.";
        return Err(error(bound, "ResourceUnavailable", "StoreUnavailable", "", message.to_owned()));
    }
    Ok(true)
}

fn identity_of(pool: &Pool) -> String {
    format!("Service:PersistentChatServer:{}", pool.fqdn)
}

/// Wildcards of `-Filter` and `-like`: `*` and `?`, any case.
fn is_like(text: &str, pattern: &str) -> bool {
    fn matches(text: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| matches(&text[n..], rest)),
            Some(('?', rest)) => !text.is_empty() && matches(&text[1..], rest),
            Some((c, rest)) => text.first() == Some(c) && matches(&text[1..], rest),
        }
    }
    let folded = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    matches(&folded(text), &folded(pattern))
}

/// Whether the replicas that are up still have the configuration of before the last change.
fn is_replicating(shell: &Shell, site: &ChatSite) -> bool {
    let delay = shell.options.paced(shell.options.replication_seconds);
    site.changed.as_ref().is_some_and(|(at, _)| at.elapsed() < delay)
}

fn get_state(shell: &Shell, bound: &Bound) -> Outcome {
    let site = shell.site();
    // The local replica is a cache.
    let old = match &site.changed {
        Some((_, before)) if bound.is_set("LocalStore") && is_replicating(shell, &site) => Some(before.clone()),
        _ => None,
    };
    let shown: Vec<usize> = match (bound.text("Identity"), bound.text("Filter")) {
        (Some(identity), _) => vec![site.pool_named(identity).ok_or_else(|| not_found(bound, identity))?],
        (None, Some(filter)) => (0..site.pools.len()).filter(|n| is_like(&identity_of(&site.pools[*n]), filter)).collect(),
        (None, None) => (0..site.pools.len()).collect(),
    };
    Ok(objects(shown.into_iter().map(|n| {
        let state = old.as_ref().and_then(|old| old.get(n)).unwrap_or(&site.pools[n].state);
        json!({ "Identity": identity_of(&site.pools[n]), "PoolState": state })
    })))
}

fn set_state(shell: &Shell, bound: &Bound) -> Outcome {
    // set Instance: an object that was read before, changed or not
    let instance = bound.get("Instance");
    let of_instance = |key: &str| instance.and_then(|instance| instance.get(key)).and_then(Value::as_str);
    let identity = bound.text("Identity").or_else(|| of_instance("Identity")).unwrap_or("Global");
    let n = shell.site().pool_named(identity).ok_or_else(|| not_found(bound, identity))?;
    if !may_change(shell, bound, true)? {
        return Ok(Answers::new());
    }
    // asked before the shell's lock is taken: SQL Server has locks of its own
    let backup = shell.site().pools[n].backup.clone();
    let there = backup.and_then(|store| shell.instances.database(&store, CHAT_DATABASE));
    let mut site = shell.site();
    // "Default value" of the page: a call without PoolState puts the pool back to Normal.
    let state = match bound.text("PoolState").or_else(|| of_instance("PoolState")) {
        Some("FailedOver") => PoolState::FailedOver,
        _ => PoolState::Normal,
    };
    if state == PoolState::FailedOver && site.pools[n].backup.is_none() {
        let message = format!("The topology defines no backup database for pool \"{}\".", site.pools[n].fqdn);
        return Err(error(bound, "InvalidOperation", "NoBackupDatabase", identity, message));
    }
    site.changes();
    site.pools[n].state = state;
    if n == 0 && state == PoolState::FailedOver {
        site.turned_to = Some(match there {
            Some(view) if view.in_standby => "STANDBY".to_owned(),
            Some(DatabaseView { state: Some(state), .. }) => state,
            _ => "missing".to_owned(),
        });
    }
    Ok(vec![verbose(format!("Setting the state of \"{}\" to {state:?}.", identity_of(&site.pools[n])))])
}

fn set_active(shell: &Shell, bound: &Bound) -> Outcome {
    let identity = bound.text("Identity").unwrap_or("Global");
    let pool = shell.site().pool_named(identity);
    // The Lync 2013 help writes "global", the 2015 help "PChatServerCollection"; both mean the one collection.
    let is_collection = ["global", "pchatservercollection"].iter().any(|name| name.eq_ignore_ascii_case(identity));
    if pool.is_none() && !is_collection {
        return Err(not_found(bound, identity));
    }
    if !may_change(shell, bound, true)? {
        return Ok(Answers::new());
    }
    let mut site = shell.site();
    let is_member = |list: &[String], fqdn: &str| list.iter().any(|member| member.eq_ignore_ascii_case(fqdn));
    let mut active = site.active.clone();
    if bound.is_set("Swap") {
        let swapped = site.pools.iter().enumerate().filter(|(n, _)| pool.is_none_or(|pool| pool == *n));
        for computer in swapped.flat_map(|(_, pool)| &pool.computers) {
            if is_member(&active, &computer.fqdn) {
                active.retain(|member| !member.eq_ignore_ascii_case(&computer.fqdn));
            } else {
                active.push(computer.fqdn.clone());
            }
        }
    } else {
        let modifier = bound.get("ActiveServers").unwrap_or(&Value::Null);
        let members = |key: &str| -> Vec<String> {
            let list = modifier.get(key).and_then(Value::as_array);
            list.into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        // $null clears the list, the other pools' servers too.
        if modifier.is_null() || modifier.get("Replace").is_some() {
            active.clear();
        }
        for fqdn in members("Add").into_iter().chain(members("Replace")) {
            let Some(computer) = site.computers().find(|computer| computer.fqdn.eq_ignore_ascii_case(&fqdn)) else {
                let message = format!("\"{fqdn}\" is not a Persistent Chat server in the topology.");
                return Err(error(bound, "InvalidArgument", "UnknownServer", &fqdn, message));
            };
            if !is_member(&active, &fqdn) {
                active.push(computer.fqdn.clone());
            }
        }
        for fqdn in members("Remove") {
            active.retain(|member| !member.eq_ignore_ascii_case(&fqdn));
        }
    }
    site.changes();
    site.active = active;
    Ok(vec![verbose(format!("Active servers: {}.", site.active.join(", ")))])
}

fn chat_service(site: &ChatSite, pool: &Pool) -> Value {
    let identity = format!("PersistentChatServer:{}", pool.fqdn);
    json!({
        "Identity": identity,
        "Role": "PersistentChatServer",
        "SiteId": format!("Site:{}", pool.site),
        "PoolFqdn": pool.fqdn,
        "Version": 6,
        // No page names this property. The list is the organisation's, not the pool's.
        "ActiveServers": site.active,
        "PersistentChatDatabase": database_identity(&pool.primary),
        "DependentServiceList": [],
    })
}

fn database_identity(store: &Store) -> String {
    format!("PersistentChatDatabase:{}\\{}", store.fqdn, store.instance)
}

fn database_services(pool: &Pool) -> Vec<Value> {
    let stores = [(&pool.primary, "Primary", pool.primary_mirror.as_ref())]
        .into_iter()
        .chain(pool.backup.as_ref().map(|backup| (backup, "Backup", pool.backup_mirror.as_ref())));
    stores
        .map(|(store, usage, mirror)| {
            json!({
                "Identity": database_identity(store),
                "Role": "PersistentChatDatabase",
                "SiteId": format!("Site:{}", pool.site),
                "PoolFqdn": store.fqdn,
                "SqlInstanceName": store.instance,
                "MirrorSqlServer": mirror.map(|mirror| mirror.fqdn.clone()),
                "MirrorSqlInstanceName": mirror.map(|mirror| mirror.instance.clone()),
                "Usage": usage,
                "DependentServiceList": [format!("PersistentChatServer:{}", pool.fqdn)],
            })
        })
        .collect()
}

fn get_service(shell: &Shell, bound: &Bound) -> Outcome {
    let site = shell.site();
    let chat = || site.pools.iter().map(|pool| chat_service(&site, pool)).collect::<Vec<_>>();
    let databases = || site.pools.iter().flat_map(database_services).collect::<Vec<_>>();
    let management = || {
        vec![json!({
            "Identity": format!("CentralManagement:{}", site.master),
            "Role": "CentralManagement",
            "SiteId": "Site:Dallas",
            "PoolFqdn": site.master,
            "Version": 6,
            "Active": true,
        })]
    };
    let services = match bound.set {
        "PersistentChatServer" => chat(),
        "PersistentChatDatabase" => databases(),
        "CentralManagement" => management(),
        "Identity" | "Filter" => chat().into_iter().chain(databases()).chain(management()).collect(),
        // The other roles are not part of this little organisation.
        _ => Vec::new(),
    };
    let text = |service: &Value, key: &str| service[key].as_str().unwrap_or_default().to_owned();
    let wanted = |service: &Value| {
        bound.text("Identity").is_none_or(|identity| text(service, "Identity").eq_ignore_ascii_case(identity.trim()))
            && bound.text("Filter").is_none_or(|filter| is_like(&text(service, "Identity"), filter))
            && bound.text("PoolFqdn").is_none_or(|fqdn| text(service, "PoolFqdn").eq_ignore_ascii_case(fqdn))
    };
    let found: Vec<Value> = services.into_iter().filter(wanted).collect();
    match bound.text("Identity") {
        Some(identity) if found.is_empty() => Err(not_found(bound, identity)),
        _ => Ok(objects(found)),
    }
}

fn get_pool(shell: &Shell, bound: &Bound) -> Outcome {
    let site = shell.site();
    let pools: Vec<&Pool> = site
        .pools
        .iter()
        .filter(|pool| bound.text("Identity").is_none_or(|identity| pool.fqdn.eq_ignore_ascii_case(identity)))
        .filter(|pool| bound.text("Filter").is_none_or(|filter| is_like(&pool.fqdn, filter)))
        .filter(|pool| bound.text("Site").is_none_or(|name| pool.site.eq_ignore_ascii_case(name)))
        .collect();
    if let (Some(identity), true) = (bound.text("Identity"), pools.is_empty()) {
        return Err(not_found(bound, identity));
    }
    Ok(objects(pools.into_iter().map(|pool| {
        json!({
            "Identity": pool.fqdn,
            "Fqdn": pool.fqdn,
            "Services": [format!("PersistentChatServer:{}", pool.fqdn)],
            "Computers": pool.computers.iter().map(|computer| &computer.fqdn).collect::<Vec<_>>(),
            "BackupPoolFqdn": null,
            "Site": format!("Site:{}", pool.site),
        })
    })))
}

/// The parts of the topology that a failover asks: which stores a chat pool has. Property and element names are the
/// lab's: the page names only SqlInstances and Machines.
fn get_topology(shell: &Shell, bound: &Bound) -> Outcome {
    let site = shell.site();
    let stores = |pool: &Pool| {
        [
            ("Primary", Some(pool.primary.clone())),
            ("PrimaryMirror", pool.primary_mirror.clone()),
            ("Backup", pool.backup.clone()),
            ("BackupMirror", pool.backup_mirror.clone()),
        ]
        .into_iter()
        .filter_map(|(usage, store)| store.map(|store| (usage, store)))
    };
    if bound.is_set("AsXml") {
        let mut xml = String::from("<Topology><Services>");
        for pool in &site.pools {
            xml.push_str(&format!("<Service Type=\"PersistentChatServer\" Fqdn=\"{}\">", pool.fqdn));
            for (usage, store) in stores(pool) {
                let (fqdn, instance) = (store.fqdn, store.instance);
                xml.push_str(&format!("<Store Usage=\"{usage}\" Fqdn=\"{fqdn}\" Instance=\"{instance}\" />"));
            }
            xml.push_str("</Service>");
        }
        xml.push_str("</Services></Topology>");
        return Ok(objects([json!(xml)]));
    }
    let pools: Vec<Value> = site
        .pools
        .iter()
        .map(|pool| {
            let mut described = json!({ "PoolFqdn": pool.fqdn, "Site": format!("Site:{}", pool.site) });
            for (usage, store) in stores(pool) {
                described[format!("{usage}Store")] = json!({ "SqlServerFqdn": store.fqdn, "SqlInstanceName": store.instance });
            }
            described
        })
        .collect();
    let instances: Vec<String> =
        site.pools.iter().flat_map(stores).map(|(_, store)| format!("{}\\{}", store.fqdn, store.instance)).collect();
    let machines: Vec<&String> = site.computers().map(|computer| &computer.fqdn).collect();
    Ok(objects([json!({ "PersistentChatPools": pools, "SqlInstances": instances, "Machines": machines })]))
}

fn get_replication(shell: &Shell, bound: &Bound) -> Outcome {
    let site = shell.site();
    let now = shell.instances.now();
    let now = now.round(jiff::Unit::Second).unwrap_or(now);
    if bound.is_set("CentralManagementStoreStatus") {
        return Ok(objects([json!({
            "ActiveMasterFqdn": site.master,
            "ActiveMasterLastHeartbeat": now.to_string(),
            "ActiveFileTransferAgentFqdn": site.master,
            "ActiveFileTransferAgentLastHeartbeat": now.to_string(),
        })]));
    }
    let ago = |seconds: i64| now.saturating_sub(SignedDuration::from_secs(seconds)).unwrap_or(now);
    let changed = site.changed.as_ref().map(|(at, _)| {
        let elapsed = i64::try_from(Instant::now().duration_since(*at).as_secs()).unwrap_or(0);
        ago(elapsed)
    });
    let replicating = is_replicating(shell, &site);
    let replicas: Vec<Value> = site
        .computers()
        .filter(|computer| bound.text("ReplicaFqdn").is_none_or(|fqdn| computer.fqdn.eq_ignore_ascii_case(fqdn)))
        .map(|computer| {
            // A server of the lost site was up to date until it was lost: nothing tells the store that it is gone.
            let stuck = !computer.up || fault::replica_stuck(&shell.options.faults, &computer.fqdn);
            let behind = site.changed.is_some() && (stuck || replicating);
            json!({
                "UpToDate": !behind,
                "ReplicaFqdn": computer.fqdn,
                "LastStatusReport": (if stuck { ago(3600) } else { now }).to_string(),
                "LastUpdateCreation": changed.unwrap_or(ago(86_400)).to_string(),
                "ProductVersion": VERSION,
            })
        })
        .collect();
    match bound.text("ReplicaFqdn") {
        Some(fqdn) if replicas.is_empty() => Err(not_found(bound, fqdn)),
        _ => Ok(objects(replicas)),
    }
}

fn windows_service(shell: &Shell, bound: &Bound) -> Outcome {
    let mut site = shell.site();
    // Without ComputerName: this machine, which has the tools but no chat service.
    let Some(name) = bound.text("ComputerName") else {
        return match bound.text("Name") {
            Some(name) => Err(not_found(bound, name)),
            None => Ok(Answers::new()),
        };
    };
    let Some(computer) = site.computers().find(|computer| computer.fqdn.eq_ignore_ascii_case(name) && computer.up).cloned() else {
        let message = format!("Cannot open Service Control Manager on computer '{name}'. This operation might require other privileges.");
        return Err(error(bound, "OpenError", "CannotOpenServiceManager", name, message));
    };
    if let Some(service) = bound.text("Name").filter(|service| !service.eq_ignore_ascii_case(CHAT_SERVICE)) {
        return Err(not_found(bound, service));
    }
    if bound.cmdlet.name == "Get-CsWindowsService" {
        let status = if site.stopped.contains(&computer.fqdn) { "Stopped" } else { "Running" };
        return Ok(objects([json!({
            "Name": CHAT_SERVICE,
            "DisplayName": format!("{} Server Persistent Chat", if shell.options.module == "Lync" { "Lync" } else { "Skype for Business" }),
            "Status": status,
            "RoleName": ["PersistentChatServer"],
            "ActivityLevel": null,
            "ComputerName": computer.fqdn,
        })]));
    }
    drop(site);
    if !may_change(shell, bound, false)? {
        return Ok(Answers::new());
    }
    site = shell.site();
    if bound.cmdlet.name == "Start-CsWindowsService" {
        site.stopped.remove(&computer.fqdn);
    } else {
        site.stopped.insert(computer.fqdn);
    }
    Ok(Answers::new())
}

/// The database of a type; the others have no store in this little organisation.
fn database_of(bound: &Bound) -> Result<&'static str, Box<ErrorRecord>> {
    match bound.text("DatabaseType") {
        None | Some("PersistentChat") => Ok(CHAT_DATABASE),
        Some("PersistentChatCompliance") => Ok("mgccomp"),
        Some(other) => {
            let message = format!("The topology has no database of type {other} on this SQL Server.");
            Err(error(bound, "ObjectNotFound", "DatabaseNotInTopology", other, message))
        }
    }
}

/// The store at `-SqlServerFqdn` and `-SqlInstanceName`, and the mirror that the topology gives it.
fn store_named(site: &ChatSite, bound: &Bound) -> Result<(Store, Option<Store>), Box<ErrorRecord>> {
    let fqdn = bound.text("SqlServerFqdn").unwrap_or_default();
    let instance = bound.text("SqlInstanceName").or(bound.text("ForInstance")).unwrap_or("");
    let stores =
        site.pools.iter().flat_map(|pool| [(Some(&pool.primary), &pool.primary_mirror), (pool.backup.as_ref(), &pool.backup_mirror)]);
    let any_instance = bound.is_set("ConfiguredDatabases") && instance.is_empty();
    stores
        .filter_map(|(store, mirror)| Some((store?.clone(), mirror.clone())))
        .find(|(store, _)| store.is(fqdn, instance) || (any_instance && store.fqdn.eq_ignore_ascii_case(fqdn)))
        .ok_or_else(|| {
            let place = if instance.is_empty() { fqdn.to_owned() } else { format!("{fqdn}\\{instance}") };
            let message = format!("The topology has no SQL store \"{place}\".");
            error(bound, "ObjectNotFound", "StoreNotInTopology", &place, message)
        })
}

fn mirror(shell: &Shell, bound: &Bound) -> Outcome {
    let database = database_of(bound)?;
    let (store, mirror) = store_named(&shell.site(), bound)?;
    let place = format!("{}\\{}", store.fqdn, store.instance);
    let Some(mirror) = mirror else {
        let message = format!("The topology defines no mirror for the SQL store \"{place}\".");
        return Err(error(bound, "InvalidOperation", "NoMirrorInTopology", &place, message));
    };
    let installs = bound.cmdlet.name == "Install-CsMirrorDatabase";
    let share = bound.text("FileShare").unwrap_or_default();
    if installs && !(share.starts_with(r"\\") && share[2..].contains('\\')) {
        return Err(Box::new(binding::record(
            bound.cmdlet,
            "ParameterArgumentValidationError",
            "InvalidData",
            format!("Cannot validate argument on parameter 'FileShare'. The argument \"{share}\" is not a UNC path."),
        )));
    }
    if !may_change(shell, bound, false)? {
        return Ok(Answers::new());
    }
    let excluded = bound.get("ExcludeDatabaseList").and_then(Value::as_array);
    let is_excluded =
        excluded.is_some_and(|list| list.iter().any(|name| name.as_str().is_some_and(|name| name.eq_ignore_ascii_case(database))));
    let mut answers = vec![verbose(format!("Database {database}: primary {place}, mirror {}\\{}.", mirror.fqdn, mirror.instance))];
    if is_excluded {
        return Ok(answers);
    }
    let drops = bound.is_set("DropExistingDatabasesOnMirror");
    let done = if installs {
        shell.instances.mirror(&store, &mirror, database, drops)
    } else {
        shell.instances.unmirror(&store, &mirror, database, drops)
    };
    if let Err(message) = done {
        answers.push(Answer::Error(*error(bound, "InvalidOperation", "MirroringFailed", &place, message)));
    }
    Ok(answers)
}

fn get_mirror_state(shell: &Shell, bound: &Bound) -> Outcome {
    let fqdn = bound.text("PoolFqdn").unwrap_or_default();
    let (store, mirror) = {
        let site = shell.site();
        let pool = site.pools.iter().find(|pool| pool.fqdn.eq_ignore_ascii_case(fqdn));
        let pool = pool.ok_or_else(|| not_found(bound, fqdn))?;
        let (store, mirror) = pool.in_use();
        (store.cloned(), mirror.cloned())
    };
    if !matches!(bound.text("DatabaseType"), None | Some("PersistentChat")) {
        return Ok(Answers::new());
    }
    let view = |store: &Option<Store>| store.as_ref().and_then(|store| shell.instances.database(store, CHAT_DATABASE));
    let mirroring = |store: &Option<Store>| view(store).and_then(|view| view.mirroring);
    let (here, there) = (mirroring(&store), mirroring(&mirror));
    let state = |mirroring: &Option<(String, String)>| match mirroring {
        Some((role, _)) if role.eq_ignore_ascii_case("PRINCIPAL") => "Principal",
        Some(_) => "Mirror",
        None => "DatabaseInaccessibleOrMirroringNotEnabled",
    };
    let status = |mirroring: &Option<(String, String)>| mirroring.as_ref().map(|(_, state)| state.to_lowercase());
    Ok(objects([json!({
        "DatabaseName": "mgc",
        "StateOnPrimary": state(&here),
        "StateOnMirror": state(&there),
        "MirroringStatusOnPrimary": status(&here),
        "MirroringStatusOnSecondary": status(&there),
    })]))
}

fn test_database(shell: &Shell, bound: &Bound) -> Outcome {
    if !may_change(shell, bound, false)? {
        return Ok(Answers::new());
    }
    if matches!(bound.set, "ByCMS" | "ByLocal") {
        let message = format!("The lab does not simulate {} this way.", bound.cmdlet.name);
        return Err(error(bound, "NotImplemented", "NotSimulated", "", message));
    }
    let database = database_of(bound)?;
    let (store, mirror) = store_named(&shell.site(), bound)?;
    let view = shell.instances.database(&store, database);
    let state = view.as_ref().and_then(|view| view.state.clone());
    let problem = match (&view, &state) {
        (None, _) => Some("The SQL Server cannot be reached.".to_owned()),
        (Some(_), None) => Some(format!("There is no database {database}.")),
        (Some(_), Some(state)) if state != "ONLINE" => Some(format!("The database is {state}.")),
        _ => None,
    };
    Ok(objects([json!({
        "SqlServerFqdn": store.fqdn,
        "SqlInstanceName": store.instance,
        "DatabaseName": database,
        "Succeed": problem.is_none(),
        "Error": problem,
        "MirrorSqlServer": mirror.map(|mirror| format!("{}\\{}", mirror.fqdn, mirror.instance)),
    })]))
}

/// Whether two test users could chat: a server of a pool is active, runs, has the configuration, and its database is open.
fn test_message(shell: &Shell, bound: &Bound) -> Outcome {
    if bound.set != "ServerPlatform" {
        let message = format!("The lab does not simulate {} this way.", bound.cmdlet.name);
        return Err(error(bound, "NotImplemented", "NotSimulated", "", message));
    }
    let fqdn = bound.text("TargetFqdn").unwrap_or_default();
    let (store, problem) = {
        let site = shell.site();
        let replicating = is_replicating(shell, &site);
        let Some(pool) = site.pools.first() else { return Err(not_found(bound, fqdn)) };
        let is_active = |fqdn: &str| site.active.iter().any(|active| active.eq_ignore_ascii_case(fqdn));
        let serves = |computer: &&Computer| {
            let behind = replicating || fault::replica_stuck(&shell.options.faults, &computer.fqdn);
            computer.up && is_active(&computer.fqdn) && !site.stopped.contains(&computer.fqdn) && !(behind && site.changed.is_some())
        };
        let nobody = pool.computers.iter().find(serves).is_none();
        (pool.in_use().0.cloned(), nobody.then(|| "No Persistent Chat server answers.".to_owned()))
    };
    let view = store.and_then(|store| shell.instances.database(&store, CHAT_DATABASE));
    let open = view.is_some_and(|view| view.state.as_deref() == Some("ONLINE") && !view.in_standby);
    let problem = problem.or_else(|| (!open).then(|| "The Persistent Chat server has lost its connection to the database.".to_owned()));
    Ok(objects([json!({
        "TargetFqdn": fqdn,
        "Result": if problem.is_none() { "Success" } else { "Failure" },
        "Latency": if problem.is_none() { "00:00:00.3120000" } else { "00:00:00" },
        "Error": problem,
    })]))
}

fn fail_database_over(shell: &Shell, bound: &Bound) -> Outcome {
    let fqdn = bound.text("PoolFqdn").unwrap_or_default();
    let database = database_of(bound)?;
    let (store, mirror) = {
        let site = shell.site();
        let pool = site.pools.iter().find(|pool| pool.fqdn.eq_ignore_ascii_case(fqdn));
        let (store, mirror) = pool.ok_or_else(|| not_found(bound, fqdn))?.in_use();
        (store.cloned(), mirror.cloned())
    };
    let (Some(store), Some(mirror)) = (store, mirror) else {
        let message = format!("The topology defines no primary and mirror for pool \"{fqdn}\".");
        return Err(error(bound, "InvalidOperation", "NoMirrorInTopology", fqdn, message));
    };
    if !may_change(shell, bound, false)? {
        return Ok(Answers::new());
    }
    let wanted = if bound.text("NewPrincipal") == Some("Mirror") { &mirror } else { &store };
    let other = if wanted == &mirror { &store } else { &mirror };
    let role = shell.instances.database(wanted, database).and_then(|view| view.mirroring).map(|(role, _)| role);
    if role.is_some_and(|role| role.eq_ignore_ascii_case("PRINCIPAL")) {
        return Ok(vec![verbose(format!("{database} is the principal on {} already.", wanted.fqdn))]);
    }
    match shell.instances.fail_over(other, wanted, database) {
        Ok(()) => Ok(vec![verbose(format!("{database}: {} is the principal.", wanted.fqdn))]),
        Err(message) => Err(error(bound, "InvalidOperation", "FailoverFailed", &wanted.fqdn, message)),
    }
}

/// Moves the Central Management store's master. In a disaster its backup database is named.
fn fail_management_over(shell: &Shell, bound: &Bound) -> Outcome {
    let ((master, store), up) = {
        let site = shell.site();
        (site.master_backup.clone(), site.store_up)
    };
    if bound.set == "DisasterRecovery" {
        let (fqdn, instance) =
            (bound.text("BackupSqlServerFqdn").unwrap_or_default(), bound.text("BackupSqlInstanceName").unwrap_or_default());
        if !store.is(fqdn, instance) {
            let message = format!("\"{fqdn}\\{instance}\" holds no backup of the Central Management store.");
            return Err(error(bound, "ObjectNotFound", "StoreNotInTopology", fqdn, message));
        }
    } else if !up {
        let message = "The Central Management store cannot be reached. Name its backup database with BackupSqlServerFqdn.";
        return Err(error(bound, "ResourceUnavailable", "StoreUnavailable", "", message.to_owned()));
    }
    if !may_change(shell, bound, false)? {
        return Ok(Answers::new());
    }
    let mut site = shell.site();
    site.store_up = true;
    site.master = master;
    Ok(vec![verbose(format!("The Central Management store is on {}.", site.master))])
}

/// The predefined roles that a failover touches, and the cmdlets of this lab that each may call.
fn get_admin_role(bound: &Bound) -> Outcome {
    let all: Vec<&str> = cmdlets::CMDLETS.iter().map(|cmdlet| cmdlet.name).collect();
    let chat: Vec<&str> = all.iter().copied().filter(|name| name.contains("PersistentChat") || name.starts_with("Get-")).collect();
    let windows: Vec<&str> = all.iter().copied().filter(|name| name.contains("WindowsService") || name.starts_with("Get-")).collect();
    let found: Vec<Value> = [("CsAdministrator", all), ("CsPersistentChatAdministrator", chat), ("CsServerAdministrator", windows)]
        .into_iter()
        .filter(|(name, _)| bound.text("Identity").is_none_or(|identity| identity.eq_ignore_ascii_case(name)))
        .filter(|(name, _)| bound.text("Filter").is_none_or(|filter| is_like(name, filter)))
        .map(|(name, cmdlets)| json!({ "Identity": name, "IsStandardRole": true, "Cmdlets": cmdlets, "ConfigScopes": ["Global"] }))
        .collect();
    match bound.text("Identity") {
        Some(identity) if found.is_empty() => Err(not_found(bound, identity)),
        _ => Ok(objects(found)),
    }
}
