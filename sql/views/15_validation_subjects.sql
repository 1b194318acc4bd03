-- What can be validated, and the videos behind it: drops, and published dataset versions.
create or replace view validation_subjects as
select 'drop' as subject_kind, drop_id as subject_id, video_id from drop_videos
union all
select 'dataset', version, video_id from dataset_videos;
