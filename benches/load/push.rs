//! Pushes of about 2 kB, as Flashduty sends them.

/// The body of push `number`: its own event and incident.
pub(crate) fn body(number: usize, time_ms: u128) -> String {
    let description = "The root volume of the node is nearly full. ".repeat(12);
    format!(
        r#"{{"event_id":"bench{number:019}","event_time":{time_ms},"event_type":"i_new","incident":{{"account_id":74058170041504,"account_name":"Example","alert_cnt":1,"assigned_to":{{"assigned_at":1700000000,"escalate_rule_id":"64e5a5f0b1e4a1b2c3d4e5f6","escalate_rule_name":"default","id":"x","layer_idx":0,"type":"assign"}},"channel_id":1163577812973,"channel_name":"Order System","created_at":1700000000,"creator":{{"email":"","person_id":0,"person_name":""}},"data_source_id":1163577812974,"dedup_key":"disk-full-{number}","description":"{description}","detail_url":"https://console.example/incident/detail/{number:024}","end_time":0,"equals_md5":"","fields":{{"impact_scope":"none","tags":["a","b"]}},"group_method":"n","impact":"","incident_id":"{number:024}","incident_severity":"Warning","incident_status":"Warning","labels":{{"body_text":"volume / is at 93 %","check":"disk full","cluster":"nj","env":"prod","metric":"disk.used.percent","region":"cn-east","resource":"db-{number}","runbook_url":"https://wiki.example/disk","service":"orders","severity":"warning"}},"last_time":1700000000,"num":"AB12CD","progress":"Triggered","responder_ids":[2476444212131],"responders":[{{"assigned_at":1700000000,"acknowledged_at":0,"email":"oncall@example.com","person_id":2476444212131,"person_name":"On Call"}}],"resolution":"","root_cause":"","snoozed_before":0,"start_time":1700000000,"title":"nj / disk full on db-{number}","updated_at":1700000000}}}}"#
    )
}
