//! ALTER DATABASE SET PARTNER: the two servers of a mirroring session are told one after the other, the mirror first ("Setting
//! Up Database Mirroring"). Never holds the locks of both servers.

use std::sync::Arc;

use crate::lab::instance::{Database, DatabaseState, Instance, Mirroring};
use crate::lab::messages::{self, Raised};

/// SET PARTNER = 'TCP://host:5022': on the mirror it is remembered, on the principal mirroring begins.
pub fn pair(instance: &Arc<Instance>, database: &Database, address: &str) -> Result<(), Raised> {
    let name = database.name.as_str();
    if database.mirroring.is_some() {
        return Err(messages::already_mirrored(name));
    }
    let partner = instance.world.partner(address).ok_or_else(|| messages::no_partner(address))?;
    if Arc::ptr_eq(&partner, instance) {
        return Err(messages::own_partner());
    }
    if database.state == DatabaseState::Restoring {
        if let Some(database) = instance.lock().database_mut(name) {
            database.partner = Some(address.to_owned());
        }
        return Ok(());
    }
    if database.recovery_model != "FULL" {
        return Err(messages::not_full(name));
    }
    let guid = instance.world.guid();
    {
        let mut there = partner.lock();
        let mirror = there.database_mut(name).ok_or_else(|| messages::no_remote_copy(name))?;
        if mirror.state != DatabaseState::Restoring {
            return Err(messages::remote_not_restoring(name));
        }
        let asked = mirror.partner.as_deref().and_then(|address| instance.world.partner(address));
        if !asked.is_some_and(|asked| Arc::ptr_eq(&asked, instance)) {
            return Err(messages::not_mirrored(name));
        }
        let behind = database.log_backup.is_none_or(|begins| mirror.redo < begins);
        if mirror.family != database.family || mirror.fork != database.fork || behind {
            return Err(messages::mirror_behind(name));
        }
        mirror.partner = None;
        mirror.redo = database.redo;
        mirror.mirroring = Some(session(instance, guid, false));
    }
    if let Some(database) = instance.lock().database_mut(name) {
        database.mirroring = Some(session(&partner, guid, true));
    }
    Ok(())
}

fn session(partner: &Instance, guid: uuid::Uuid, principal: bool) -> Mirroring {
    Mirroring { guid, principal, state: 4, partner_name: format!("TCP://{}:5022", partner.fqdn), partner_instance: partner.server.clone() }
}

/// SET PARTNER OFF, SUSPEND, RESUME and FAILOVER, on both servers if the other answers.
pub fn act(instance: &Instance, database: &Database, action: &str) -> Result<(), Raised> {
    let name = database.name.as_str();
    let mirroring = database.mirroring.as_ref().ok_or_else(|| messages::not_mirrored(name))?;
    let partner = instance.world.partner(&mirroring.partner_name);
    let sides = || std::iter::once(instance).chain(partner.as_deref());
    match action {
        "OFF" => {
            for side in sides() {
                if let Some(database) = side.lock().database_mut(name) {
                    database.mirroring = None;
                }
            }
        }
        "SUSPEND" | "RESUME" => {
            for side in sides() {
                if let Some(mirroring) = side.lock().database_mut(name).and_then(|database| database.mirroring.as_mut()) {
                    mirroring.state = if action == "SUSPEND" { 0 } else { 4 };
                }
            }
        }
        "FAILOVER" if mirroring.principal && mirroring.state == 4 && partner.is_some() => {
            for side in sides() {
                let mut state = side.lock();
                let Some(database) = state.database_mut(name) else { continue };
                if let Some(mirroring) = &mut database.mirroring {
                    mirroring.principal = !mirroring.principal;
                    database.state = if mirroring.principal { DatabaseState::Online } else { DatabaseState::Restoring };
                }
                let now = side.world.local();
                for user in state.users_of(name, 0) {
                    super::end(side, &mut state, user, now);
                }
            }
        }
        _ => return Err(messages::in_mirroring(name, &mirroring.partner_instance)),
    }
    Ok(())
}
