-- Flags of the newest quality run of each video; the rest is history.
create or replace view current_flags as
select f.*
from flags f
join (
    select video_id, fingerprint from current_stage_runs where stage = 'quality' and status = 'done'
) r using (video_id, fingerprint);
