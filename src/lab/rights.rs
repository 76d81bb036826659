//! What the lab's login may do on a server ("Server-Level Roles", "Permissions (Database Engine)"): a sysadmin, one that is in
//! `dbcreator` alone, or one that has nothing but its login.

use serde::Deserialize;

use super::instance::same;

/// The rights of the lab's login, the same on each server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rights {
    #[default]
    Sysadmin,
    /// may create, alter, restore and drop databases, and sees its own session alone
    Dbcreator,
    /// may log in, and sees its own session alone
    Reader,
}

/// Server permissions by which roles differ here, and the least role that has each.
const PERMISSIONS: [(&str, Rights); 10] = [
    ("ALTER ANY CONNECTION", Rights::Sysadmin),
    ("ALTER ANY DATABASE", Rights::Dbcreator),
    ("ALTER ANY LOGIN", Rights::Sysadmin),
    ("ALTER SETTINGS", Rights::Sysadmin),
    ("CONNECT SQL", Rights::Reader),
    ("CONTROL SERVER", Rights::Sysadmin),
    ("CREATE ANY DATABASE", Rights::Dbcreator),
    ("VIEW ANY DATABASE", Rights::Reader),
    ("VIEW ANY DEFINITION", Rights::Sysadmin),
    ("VIEW SERVER STATE", Rights::Sysadmin),
];

impl Rights {
    pub fn is_sysadmin(self) -> bool {
        self == Self::Sysadmin
    }

    /// May create, alter, restore and drop databases.
    pub fn over_databases(self) -> bool {
        self != Self::Reader
    }

    /// IS_SRVROLEMEMBER: `None` if there is no such role.
    pub fn in_role(self, role: &str) -> Option<bool> {
        const ROLES: [&str; 9] =
            ["sysadmin", "serveradmin", "setupadmin", "securityadmin", "processadmin", "dbcreator", "diskadmin", "bulkadmin", "public"];
        let known = ROLES.iter().find(|known| same(known, role))?;
        Some(matches!((self, *known), (Self::Sysadmin, _) | (_, "public") | (Self::Dbcreator, "dbcreator")))
    }

    /// HAS_PERMS_BY_NAME of the server itself: `None` if there is no such permission.
    pub fn on_server(self, permission: &str) -> Option<bool> {
        let (_, least) = PERMISSIONS.iter().find(|(known, _)| same(known, permission))?;
        Some(match least {
            Self::Sysadmin => self.is_sysadmin(),
            Self::Dbcreator => self.over_databases(),
            Self::Reader => true,
        })
    }

    /// True if the login has a user in a system database: `guest` is in master, tempdb and msdb.
    pub fn enters(self, database: &str) -> bool {
        self.is_sysadmin() || ["master", "tempdb", "msdb"].iter().any(|open| same(open, database))
    }

    /// The server permissions that the login has, by name.
    pub fn list(self) -> impl Iterator<Item = &'static str> {
        PERMISSIONS.iter().map(|(name, _)| *name).filter(move |name| self.on_server(name) == Some(true))
    }
}
