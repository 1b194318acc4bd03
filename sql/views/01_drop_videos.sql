-- The distinct videos of each drop, each with the first key it came under.
create or replace view drop_videos as
select drop_id, video_id, min(key) as key, count(*) as objects
from drop_objects
group by drop_id, video_id;
