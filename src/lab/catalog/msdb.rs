//! The tables of msdb that log shipping, backup and restore keep.

use super::{IntoCell, Rows, Source, Table, size};
use crate::lab::media::Header;
use crate::lab::statements::restore::database_version;
use crate::lab::tds::Cell;

pub static TABLES: &[Table] = &[
    Table {
        name: "msdb.dbo.log_shipping_secondary",
        definition: "secondary_id uniqueidentifier, primary_server sysname, primary_database sysname, \
            backup_source_directory nvarchar(500), backup_destination_directory nvarchar(500), file_retention_period int, \
            copy_job_id uniqueidentifier, restore_job_id uniqueidentifier, monitor_server sysname, \
            monitor_server_security_mode bit, last_copied_file nvarchar(500), last_copied_date datetime",
        grows: false,
        fill: secondary,
    },
    Table {
        name: "msdb.dbo.log_shipping_secondary_databases",
        definition: "secondary_database sysname, secondary_id uniqueidentifier, restore_delay int, restore_all bit, \
            restore_mode bit, disconnect_users bit, block_size int, buffer_count int, max_transfer_size int, \
            last_restored_file nvarchar(500), last_restored_date datetime",
        grows: false,
        fill: secondary_databases,
    },
    Table {
        name: "msdb.dbo.log_shipping_monitor_secondary",
        definition: "secondary_server sysname, secondary_database sysname, secondary_id uniqueidentifier, \
            primary_server sysname, primary_database sysname, restore_threshold int, threshold_alert int, \
            threshold_alert_enabled bit, last_copied_file nvarchar(500), last_copied_date datetime, \
            last_copied_date_utc datetime, last_restored_file nvarchar(500), last_restored_date datetime, \
            last_restored_date_utc datetime, last_restored_latency int, history_retention_period int",
        grows: false,
        fill: monitor_secondary,
    },
    Table {
        name: "msdb.dbo.log_shipping_monitor_primary",
        definition: "primary_id uniqueidentifier, primary_server sysname, primary_database sysname, \
            backup_threshold int, threshold_alert int, threshold_alert_enabled bit, last_backup_file nvarchar(500), \
            last_backup_date datetime, last_backup_date_utc datetime, history_retention_period int",
        grows: false,
        fill: monitor_primary,
    },
    Table {
        name: "msdb.dbo.log_shipping_primary_databases",
        definition: "primary_id uniqueidentifier, primary_database sysname, backup_directory nvarchar(500), \
            backup_share nvarchar(500), backup_retention_period int, backup_job_id uniqueidentifier, \
            monitor_server sysname, monitor_server_security_mode bit, last_backup_file nvarchar(500), \
            last_backup_date datetime, user_specified_monitor bit, backup_compression tinyint",
        grows: false,
        fill: primary_databases,
    },
    Table {
        name: "msdb.dbo.log_shipping_primary_secondaries",
        definition: "primary_id uniqueidentifier, secondary_server sysname, secondary_database sysname",
        grows: false,
        fill: primary_secondaries,
    },
    Table {
        name: "msdb.dbo.log_shipping_monitor_history_detail",
        definition: "agent_id uniqueidentifier, agent_type tinyint, session_id int, database_name sysname, \
            session_status tinyint, log_time datetime, log_time_utc datetime, message nvarchar(4000)",
        grows: false,
        fill: history_detail,
    },
    Table {
        name: "msdb.dbo.log_shipping_monitor_error_detail",
        definition: "agent_id uniqueidentifier, agent_type tinyint, session_id int, database_name sysname, \
            sequence_number int, log_time datetime, log_time_utc datetime, message nvarchar(4000), \
            source nvarchar(4000), help_url nvarchar(4000)",
        grows: false,
        fill: error_detail,
    },
    Table {
        name: "msdb.dbo.backupset",
        definition: "backup_set_id int, backup_set_uuid uniqueidentifier, media_set_id int, first_family_number tinyint, \
            first_media_number smallint, last_family_number tinyint, last_media_number smallint, \
            catalog_family_number tinyint, catalog_media_number smallint, position int, expiration_date datetime, \
            software_vendor_id int, name nvarchar(128), description nvarchar(255), user_name nvarchar(128), \
            software_major_version tinyint, software_minor_version tinyint, software_build_version smallint, \
            time_zone smallint, mtf_minor_version tinyint, first_lsn numeric(25,0), last_lsn numeric(25,0), \
            checkpoint_lsn numeric(25,0), database_backup_lsn numeric(25,0), database_creation_date datetime, \
            backup_start_date datetime, backup_finish_date datetime, type char(1), sort_order smallint, \
            code_page smallint, compatibility_level tinyint, database_version int, backup_size numeric(20,0), \
            database_name nvarchar(128), server_name nvarchar(128), machine_name nvarchar(128), flags int, \
            unicode_locale int, unicode_compare_style int, collation_name nvarchar(128), is_password_protected bit, \
            recovery_model nvarchar(60), has_bulk_logged_data bit, is_snapshot bit, is_readonly bit, \
            is_single_user bit, has_backup_checksums bit, is_damaged bit, begins_log_chain bit, \
            has_incomplete_metadata bit, is_force_offline bit, is_copy_only bit, \
            first_recovery_fork_guid uniqueidentifier, last_recovery_fork_guid uniqueidentifier, \
            fork_point_lsn numeric(25,0), database_guid uniqueidentifier, family_guid uniqueidentifier, \
            differential_base_lsn numeric(25,0), differential_base_guid uniqueidentifier, \
            compressed_backup_size numeric(20,0), key_algorithm nvarchar(32) @12, encryptor_thumbprint varbinary(20) @12, \
            encryptor_type nvarchar(32) @12",
        grows: true,
        fill: backup_sets,
    },
    Table {
        name: "msdb.dbo.backupmediaset",
        definition: "media_set_id int, media_uuid uniqueidentifier, media_family_count tinyint, name nvarchar(128), \
            description nvarchar(255), software_name nvarchar(128), software_vendor_id int, MTF_major_version tinyint, \
            mirror_count tinyint, is_password_protected bit, is_compressed bit, is_encrypted bit @12",
        grows: false,
        fill: media_sets,
    },
    Table {
        name: "msdb.dbo.backupmediafamily",
        definition: "media_set_id int, family_sequence_number tinyint, media_family_id uniqueidentifier, media_count int, \
            logical_device_name nvarchar(128), physical_device_name nvarchar(260), device_type tinyint, \
            physical_block_size int, mirror tinyint",
        grows: false,
        fill: media_families,
    },
    Table {
        name: "msdb.dbo.restorehistory",
        definition: "restore_history_id int, restore_date datetime, destination_database_name nvarchar(128), \
            user_name nvarchar(128), backup_set_id int, restore_type char(1), replace bit, recovery bit, restart bit, \
            stop_at datetime, device_count tinyint, stop_at_mark_name nvarchar(128), stop_before bit",
        grows: true,
        fill: restore_history,
    },
];

fn primary_databases(source: &Source<'_>, rows: &mut Rows<'_>) {
    for row in &source.state.primaries {
        let last = row.last_backup.as_ref();
        rows.row(&[
            ("primary_id", row.id.cell()),
            ("primary_database", (&row.database).cell()),
            ("backup_directory", (&row.directory).cell()),
            ("backup_share", (&row.share).cell()),
            ("backup_retention_period", row.retention.cell()),
            ("backup_job_id", row.job.cell()),
            ("monitor_server", (&row.monitor).cell()),
            ("monitor_server_security_mode", row.monitor_mode.cell()),
            ("last_backup_file", last.map(|(file, _)| file).cell()),
            ("last_backup_date", last.map(|(_, at)| *at).cell()),
            ("user_specified_monitor", false.cell()),
            ("backup_compression", 2.cell()),
        ]);
    }
}

fn primary_secondaries(source: &Source<'_>, rows: &mut Rows<'_>) {
    for row in &source.state.primaries {
        for (server, database) in &row.secondaries {
            rows.row(&[("primary_id", row.id.cell()), ("secondary_server", server.cell()), ("secondary_database", database.cell())]);
        }
    }
}

fn monitor_primary(source: &Source<'_>, rows: &mut Rows<'_>) {
    let offset = jiff::Span::new().minutes(source.instance.world.offset_minutes);
    for row in &source.state.primaries {
        let last = row.last_backup.as_ref();
        rows.row(&[
            ("primary_id", row.id.cell()),
            ("primary_server", (&source.instance.server).cell()),
            ("primary_database", (&row.database).cell()),
            ("backup_threshold", row.threshold.cell()),
            ("threshold_alert", row.threshold_alert.cell()),
            ("threshold_alert_enabled", row.threshold_alert_enabled.cell()),
            ("last_backup_file", last.map(|(file, _)| file).cell()),
            ("last_backup_date", last.map(|(_, at)| *at).cell()),
            ("last_backup_date_utc", last.map(|(_, at)| at.saturating_sub(offset)).cell()),
            ("history_retention_period", row.history_retention.cell()),
        ]);
    }
}

fn history_detail(source: &Source<'_>, rows: &mut Rows<'_>) {
    let offset = jiff::Span::new().minutes(source.instance.world.offset_minutes);
    for note in &source.state.shipping {
        rows.row(&[
            ("agent_id", note.agent.cell()),
            ("agent_type", note.kind.cell()),
            ("session_id", note.session.cell()),
            ("database_name", (&note.database).cell()),
            ("session_status", note.status.cell()),
            ("log_time", note.at.cell()),
            ("log_time_utc", note.at.saturating_sub(offset).cell()),
            ("message", (&note.message).cell()),
        ]);
    }
}

fn error_detail(source: &Source<'_>, rows: &mut Rows<'_>) {
    let offset = jiff::Span::new().minutes(source.instance.world.offset_minutes);
    for note in source.state.shipping.iter().filter(|note| note.status == 3) {
        rows.row(&[
            ("agent_id", note.agent.cell()),
            ("agent_type", note.kind.cell()),
            ("session_id", note.session.cell()),
            ("database_name", (&note.database).cell()),
            ("sequence_number", 1.cell()),
            ("log_time", note.at.cell()),
            ("log_time_utc", note.at.saturating_sub(offset).cell()),
            ("message", (&note.message).cell()),
            ("source", "Microsoft.SqlServer.Management.LogShipping".cell()),
        ]);
    }
}

fn secondary(source: &Source<'_>, rows: &mut Rows<'_>) {
    for row in &source.state.secondaries {
        rows.row(&[
            ("secondary_id", row.id.cell()),
            ("primary_server", (&row.primary_server).cell()),
            ("primary_database", (&row.primary_database).cell()),
            ("backup_source_directory", (&row.source).cell()),
            ("backup_destination_directory", (&row.destination).cell()),
            ("file_retention_period", row.retention.cell()),
            ("copy_job_id", row.copy_job.cell()),
            ("restore_job_id", row.restore_job.cell()),
            ("monitor_server", (&row.monitor).cell()),
            ("monitor_server_security_mode", row.monitor_mode.cell()),
            ("last_copied_file", row.last_copied.as_ref().map(|(file, _)| file).cell()),
            ("last_copied_date", row.last_copied.as_ref().map(|(_, at)| *at).cell()),
        ]);
    }
}

fn secondary_databases(source: &Source<'_>, rows: &mut Rows<'_>) {
    for row in &source.state.secondary_databases {
        rows.row(&[
            ("secondary_database", (&row.name).cell()),
            ("secondary_id", row.secondary.cell()),
            ("restore_delay", row.restore_delay.cell()),
            ("restore_all", row.restore_all.cell()),
            ("restore_mode", row.restore_mode.cell()),
            ("disconnect_users", row.disconnect_users.cell()),
            ("block_size", row.block_size.cell()),
            ("buffer_count", row.buffer_count.cell()),
            ("max_transfer_size", row.max_transfer_size.cell()),
            ("last_restored_file", row.last_restored.as_ref().map(|(file, _)| file).cell()),
            ("last_restored_date", row.last_restored.as_ref().map(|(_, at)| *at).cell()),
        ]);
    }
}

fn monitor_secondary(source: &Source<'_>, rows: &mut Rows<'_>) {
    let utc = |at: jiff::civil::DateTime| at.saturating_sub(jiff::Span::new().minutes(source.instance.world.offset_minutes));
    for row in &source.state.secondary_databases {
        let Some(secondary) = source.state.secondaries.iter().find(|secondary| secondary.id == row.secondary) else {
            continue;
        };
        let (copied, restored) = (&secondary.last_copied, &row.last_restored);
        rows.row(&[
            ("secondary_server", (&source.instance.server).cell()),
            ("secondary_database", (&row.name).cell()),
            ("secondary_id", row.secondary.cell()),
            ("primary_server", (&secondary.primary_server).cell()),
            ("primary_database", (&secondary.primary_database).cell()),
            ("restore_threshold", row.restore_threshold.cell()),
            ("threshold_alert", row.threshold_alert.cell()),
            ("threshold_alert_enabled", row.threshold_alert_enabled.cell()),
            ("last_copied_file", copied.as_ref().map(|(file, _)| file).cell()),
            ("last_copied_date", copied.as_ref().map(|(_, at)| *at).cell()),
            ("last_copied_date_utc", copied.as_ref().map(|(_, at)| utc(*at)).cell()),
            ("last_restored_file", restored.as_ref().map(|(file, _)| file).cell()),
            ("last_restored_date", restored.as_ref().map(|(_, at)| *at).cell()),
            ("last_restored_date_utc", restored.as_ref().map(|(_, at)| utc(*at)).cell()),
            ("last_restored_latency", row.last_latency.cell()),
            ("history_retention_period", row.history_retention.cell()),
        ]);
    }
}

fn backup_sets(source: &Source<'_>, rows: &mut Rows<'_>) {
    for set in source.state.sets.iter().skip(source.skip) {
        let Header { kind, version, .. } = &set.header;
        let header = &set.header;
        rows.row(&[
            ("backup_set_id", set.id.cell()),
            ("backup_set_uuid", header.set.cell()),
            ("media_set_id", set.media_set.cell()),
            ("first_family_number", 1.cell()),
            ("first_media_number", 1.cell()),
            ("last_family_number", 1.cell()),
            ("last_media_number", 1.cell()),
            ("catalog_family_number", 1.cell()),
            ("catalog_media_number", 1.cell()),
            ("position", i32::try_from(set.position).unwrap_or(i32::MAX).cell()),
            ("software_vendor_id", 4608.cell()),
            ("name", header.name.as_ref().cell()),
            ("user_name", (&header.user).cell()),
            ("software_major_version", version.0.cell()),
            ("software_minor_version", version.1.cell()),
            ("software_build_version", version.2.cell()),
            ("time_zone", 127.cell()),
            ("mtf_minor_version", 0.cell()),
            ("first_lsn", header.first_lsn.cell()),
            ("last_lsn", header.last_lsn.cell()),
            ("checkpoint_lsn", header.checkpoint_lsn.cell()),
            ("database_backup_lsn", header.database_backup_lsn.cell()),
            ("database_creation_date", header.database_created.cell()),
            ("backup_start_date", header.start.cell()),
            ("backup_finish_date", header.finish.cell()),
            ("type", kind.letter().cell()),
            ("sort_order", 52.cell()),
            ("code_page", 0.cell()),
            ("compatibility_level", 110.cell()),
            ("database_version", database_version(version.0).cell()),
            ("backup_size", size(set.bytes)),
            ("database_name", (&header.database).cell()),
            ("server_name", (&header.server).cell()),
            ("machine_name", (&header.machine).cell()),
            ("flags", header.flags.cell()),
            ("unicode_locale", 1033.cell()),
            ("unicode_compare_style", 196_609.cell()),
            ("collation_name", (&header.collation).cell()),
            ("is_password_protected", false.cell()),
            ("recovery_model", (&header.recovery_model).cell()),
            ("has_bulk_logged_data", false.cell()),
            ("is_snapshot", false.cell()),
            ("is_readonly", false.cell()),
            ("is_single_user", false.cell()),
            ("has_backup_checksums", header.checksums.cell()),
            ("is_damaged", false.cell()),
            ("begins_log_chain", header.begins_chain.cell()),
            ("has_incomplete_metadata", false.cell()),
            ("is_force_offline", (header.flags & 256 != 0).cell()),
            ("is_copy_only", header.copy_only.cell()),
            ("first_recovery_fork_guid", header.first_fork.cell()),
            ("last_recovery_fork_guid", header.last_fork.cell()),
            ("fork_point_lsn", header.fork_point.cell()),
            ("database_guid", header.binding.cell()),
            ("family_guid", header.family.cell()),
            ("compressed_backup_size", size(set.bytes)),
        ]);
    }
}

fn media_sets(source: &Source<'_>, rows: &mut Rows<'_>) {
    let mut seen = 0;
    for set in &source.state.sets {
        if set.media_set <= seen {
            continue;
        }
        seen = set.media_set;
        rows.row(&[
            ("media_set_id", set.media_set.cell()),
            ("media_uuid", set.media.cell()),
            ("media_family_count", 1.cell()),
            ("software_name", "Microsoft SQL Server".cell()),
            ("software_vendor_id", 4608.cell()),
            ("MTF_major_version", 1.cell()),
            ("mirror_count", 1.cell()),
            ("is_password_protected", false.cell()),
            ("is_compressed", false.cell()),
            ("is_encrypted", false.cell()),
        ]);
    }
}

fn media_families(source: &Source<'_>, rows: &mut Rows<'_>) {
    let mut seen = 0;
    for set in &source.state.sets {
        if set.media_set <= seen {
            continue;
        }
        seen = set.media_set;
        rows.row(&[
            ("media_set_id", set.media_set.cell()),
            ("family_sequence_number", 1.cell()),
            ("media_family_id", set.family.cell()),
            ("media_count", 1.cell()),
            ("physical_device_name", (&set.device).cell()),
            ("device_type", 2.cell()),
            ("physical_block_size", 512.cell()),
            ("mirror", 0.cell()),
        ]);
    }
}

fn restore_history(source: &Source<'_>, rows: &mut Rows<'_>) {
    for row in source.state.restored.iter().skip(source.skip) {
        rows.row(&[
            ("restore_history_id", row.id.cell()),
            ("restore_date", row.at.cell()),
            ("destination_database_name", (&row.database).cell()),
            ("user_name", (&row.user).cell()),
            ("backup_set_id", row.set.cell()),
            ("restore_type", row.kind.cell()),
            ("replace", row.replace.cell()),
            ("recovery", row.recovery.cell()),
            ("restart", false.cell()),
            ("stop_at", Cell::Null),
            ("device_count", 1.cell()),
        ]);
    }
}
