-- The dropped videos that failed; the rest were filtered on purpose.
create or replace view failures as
select * from dropped_videos where status = 'failed';
